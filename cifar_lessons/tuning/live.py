"""A search in a notebook: all of it in the full profile, a labelled taste in the quick one."""

from dataclasses import replace

from cifar_lessons.config import Recipe
from cifar_lessons.notebook import QUICK_EPOCHS, QUICK_IMAGES, Session
from cifar_lessons.tuning.search import Found, search
from cifar_lessons.tuning.worker import Workplace

QUICK_STARTUP = 3  # so that in a handful of trials sampler and pruner get their turn


def live_search(session: Session, recipe: Recipe, *, trials: int) -> Found:
    """Search batch size, rate and decay in memory; nothing is kept.

    Args:
        session: Of the notebook.
        recipe: What to tune.
        trials: How many.
    """
    data = session.data
    if session.profile == "quick":
        recipe = replace(recipe, epochs=min(recipe.epochs, QUICK_EPOCHS))
        data = replace(data, train=data.train[slice(0, QUICK_IMAGES)], val=data.val[slice(0, 500)])
        print(
            f"A quick taste, not a result: {trials} trials, {len(data.train):,} images, "
            f"{recipe.epochs} epochs, {session.runtime.device}, {session.runtime.precision}."
        )
    place = Workplace(recipe=recipe, data=data, runtime=session.runtime)
    return search(place, trials=trials, startup=QUICK_STARTUP)
