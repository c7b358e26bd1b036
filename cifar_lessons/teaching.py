"""Finds the teacher that a distillation recipe names."""

import hashlib
from pathlib import Path

from cifar_lessons import recipes, runs
from cifar_lessons.building import load_model
from cifar_lessons.config import DataConfig, Distillation, Recipe
from cifar_lessons.data.cifar import Cifar
from cifar_lessons.errors import UserError
from cifar_lessons.fields import differences, from_dict
from cifar_lessons.runtime import Runtime, in_precision
from cifar_lessons.training.teacher import Teacher


def teacher_of(
    recipe: Recipe, data: Cifar, *, seed: int, out: Path, runtime: Runtime
) -> Teacher | None:
    """Return what a recipe's students learn from, or None where labels teach alone.

    Args:
        recipe: Of the student.
        data: The student's splits.
        seed: Of the student's run.
        out: The teacher's own run may lie in `out/TEACHER/seed0`, if none is recorded; its answers
            are kept in `out/teachers`.
        runtime: Device and precision.

    Raises:
        UserError: No weights of the teacher are there, or it was trained on other classes.
    """
    if not isinstance(recipe.objective, Distillation):
        return None
    wanted = recipes.get(recipe.objective.teacher)
    if wanted.pretrains or wanted.objective.kind == "search":
        raise UserError(
            f"{wanted.name} learns to tell no classes apart ({wanted.about}), so it can't teach "
            f"{recipe.name}; name another with --set objective.teacher=RECIPE"
        )
    run = run_of(recipe, wanted.name, out)
    taught = from_dict(DataConfig, run.recipe["data"])
    if taught.dataset != recipe.data.dataset:
        raise UserError(
            f"{run.name} knows the classes of {taught.dataset}, and {recipe.name} learns "
            f"{recipe.data.dataset}; name another with --set objective.teacher=RECIPE"
        )
    if recipe.data.sizes:
        raise UserError(
            f"a teacher answers for images of 32 pixels alone, got data.sizes {recipe.data.sizes}; "
            "try --set data.sizes=[]"
        )
    views = DataConfig(
        dataset=taught.dataset, augment=recipe.data.augment, mean=taught.mean, std=taught.std
    )
    model = load_model(run, runtime)
    file = run.folder / "weights.safetensors"
    return Teacher(
        model,
        data.train,
        views,
        name=f"{run.name} {run.key}",
        weights=hashlib.sha256(file.read_bytes()).hexdigest(),
        seed=seed,
        runtime=in_precision(runtime, recipe.precision),
        cache=out / "teachers",
    )


def run_of(recipe: Recipe, teacher: str, out: Path, *, part: str = "teacher") -> runs.Run:
    """Return the recorded run that a recipe builds on if it keeps weights, else the user's own.

    Args:
        recipe: That builds on it.
        teacher: Name of the recipe whose seed 0 is meant.
        out: Where the user's own runs lie.
        part: What it is to the recipe, for messages.

    Raises:
        UserError: Neither is there, or the user's own has other settings.
    """
    wanted, lacks = recipes.get(teacher), "is not trained yet"
    try:
        recorded = runs.load_run(wanted)
    except runs.MissingRun:
        pass
    except runs.StaleRun:
        lacks = "was recorded with other settings"
    else:
        if recorded.weights:
            return recorded
        lacks = "was recorded without its weights"
    folder = out / teacher / "seed0"
    if not (folder / "run.json").exists():
        raise UserError(
            f"{teacher}, the {part} of {recipe.name}, {lacks}: "
            f"`cifar-lessons train {teacher} --out {out}` comes first"
        )
    found = runs.read_run(folder)
    if changed := differences(found.recipe, wanted):
        raise UserError(
            f"{folder} holds a {teacher} of other settings ({changed[0]}); train it again in "
            "another folder with --out"
        )
    return found
