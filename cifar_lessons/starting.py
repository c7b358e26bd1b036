"""Finds the weights that a recipe with `init` begins with."""

from pathlib import Path

from cifar_lessons import recipes
from cifar_lessons.building import Start, start_from
from cifar_lessons.config import Recipe
from cifar_lessons.teaching import run_of


def start_of(recipe: Recipe, *, out: Path) -> Start | None:
    """Return the features that a recipe begins with, or None where it begins at random.

    Args:
        recipe: What will be trained.
        out: The run of `recipe.init` may lie in `out/NAME/seed0`, if none is recorded.

    Raises:
        UserError: No such recipe, or no weights of it are there.
    """
    if recipe.init is None:
        return None
    recipes.get(recipe.init)
    return start_from(run_of(recipe, recipe.init, out, part="beginning"))
