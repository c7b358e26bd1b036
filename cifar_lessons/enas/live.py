"""A search in a notebook: all of it in the full profile, a labelled taste in the quick one."""

from dataclasses import replace

from cifar_lessons.config import ArchitectureSearch, ModelConfig, Recipe
from cifar_lessons.enas.search import Found, search
from cifar_lessons.enas.words import movement
from cifar_lessons.notebook import Session

QUICK_IMAGES, QUICK_VALIDATION = 1_024, 512


def live_search(session: Session, recipe: Recipe, *, epochs: int = 3) -> Found:
    """Search in memory; nothing is kept.

    Args:
        session: Of the notebook.
        recipe: Of a search.
        epochs: In the quick profile.
    """
    data = session.data
    if session.profile == "quick":
        assert isinstance(recipe.objective, ArchitectureSearch)
        quick = replace(
            recipe.objective,
            updates_per_epoch=12,
            rewards_per_update=8,
            controller_lr=0.01,  # ten times the usual, so that something is seen in seconds
            candidates=10,
        )
        recipe = replace(
            recipe,
            objective=quick,
            model=ModelConfig(name="enas", options={"width": 8}),
            epochs=epochs,
            batch_size=64,
        )
        train, val = slice(0, QUICK_IMAGES), slice(0, QUICK_VALIDATION)
        data = replace(data, train=data.train[train], val=data.val[val])
        print(
            f"A quick taste, not a result: {len(data.train):,} images, {epochs} epochs, width 8, "
            f"{session.runtime.device}, {session.runtime.precision}."
        )
    found = search(recipe, data, seed=0, runtime=session.runtime)
    print(movement(found.trace))
    return found
