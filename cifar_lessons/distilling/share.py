"""`cifar-lessons study distillation_share`: how loudly the teacher speaks beside the labels.

Each arm's loss is a labels' term plus a teacher's term. Both have a gradient on the student's
logits, and through these on its weights; their norms are taken batch by batch, on real views, for
students before and after training. Nothing is trained, and nothing is seen of the test images.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_lessons import building, experiment, recipes, runs, runtime
from cifar_lessons.config import DataConfig, Distillation, Recipe
from cifar_lessons.data.cifar import Cifar
from cifar_lessons.data.loader import Batch, TrainLoader
from cifar_lessons.distilling.results import ARMS, STUDENT, losses, trained
from cifar_lessons.fields import from_dict
from cifar_lessons.objectives.distillation import DistillationObjective
from cifar_lessons.runs import Run
from cifar_lessons.runtime import Runtime

Facts = dict[str, Any]  # ready for JSON

BATCHES = 8


def distillation_share(root: Path | None) -> Facts:
    """Return the mean gradient norm of both terms of each arm's loss, for each student.

    Args:
        root: Folder of the data.

    Raises:
        UserError: The teacher is not recorded, or the data is missing.
    """
    recipe = recipes.get(STUDENT)
    first = _objective(ARMS[0])
    teacher = runs.load_run(recipes.get(first.teacher))
    here = runtime.detect(device="cpu", precision="fp32")
    data = experiment.load_data(recipe, root)
    batches = list(_taught_batches(recipe, data, teacher, here))
    found = {
        name: {arm: _norms(student, batches, _objective(arm)) for arm in ARMS}
        for name, student in _students(recipe, here)
    }
    return {
        "teacher": f"{teacher.name} {teacher.key}",
        "classes": len(data.classes),
        "images": sum(len(batch) for batch in batches),
        "batch_size": recipe.batch_size,
        "precision": here.precision,
        "data": data.digest,
        "arms": losses(),
        "weights": {run.name: run.weights["sha256"] for run in trained() if run.weights},
        "students": found,
    }


def _objective(name: str) -> Distillation:
    """Return the objective of a recipe that has a teacher."""
    objective = recipes.get(name).objective
    assert isinstance(objective, Distillation)
    return objective


def _taught_batches(recipe: Recipe, data: Cifar, teacher: Run, here: Runtime) -> Iterator[Batch]:
    """Yield the first batches that a student of seed 0 sees, with the teacher's answers."""
    network = building.load_model(teacher, here)
    taught = from_dict(DataConfig, teacher.recipe["data"])
    own = replace(recipe.data, mean=taught.mean, std=taught.std)
    loaders = (
        TrainLoader(data.train, config, batch_size=recipe.batch_size, seed=0)
        for config in (recipe.data, own)
    )
    for seen, asked in islice(zip(*(loader.epoch(0) for loader in loaders), strict=True), BATCHES):
        with torch.inference_mode():
            answers = network(asked.images)
        yield replace(seen, teacher=answers.clone())


def _students(recipe: Recipe, here: Runtime) -> Iterator[tuple[str, nn.Module]]:
    """Yield the student before training, and networks that are recorded with their weights."""
    new = building.new_model(recipe, seed=0, num_classes=10, runtime=here)
    yield f"{recipe.name}, untrained", new
    for run in trained():
        yield f"{run.name}, trained", building.load_model(run, here)


def _norms(student: nn.Module, batches: list[Batch], config: Distillation) -> Facts:
    """Return the mean norm of the gradients of both terms, on logits and on weights."""
    student.train()  # as it is when the loss is used
    weights = [p for p in student.parameters() if p.requires_grad]
    labels_weight = 1.0 if config.loss == "dkd" else 1 - config.teacher_weight
    total: dict[str, dict[str, float]] = {
        place: {"labels": 0.0, "teacher": 0.0} for place in ("logits", "weights")
    }
    for batch in batches:
        logits = student(batch.images)
        # An identity stands for the network: the objective takes the logits for images.
        whole = DistillationObjective(config)(nn.Identity(), replace(batch, images=logits)).loss
        hard = labels_weight * F.cross_entropy(logits, batch.labels)
        for term, loss in (("labels", hard), ("teacher", whole - hard)):
            for place, inputs in (("logits", [logits]), ("weights", weights)):
                found = torch.autograd.grad(loss, inputs, retain_graph=True)
                total[place][term] += _norm(found) / len(batches)
    return {p: {t: float(f"{n:.6g}") for t, n in terms.items()} for p, terms in total.items()}


def _norm(tensors: tuple[Tensor, ...]) -> float:
    """Return the 2-norm of all numbers together."""
    return float(torch.stack([t.double().pow(2).sum() for t in tensors]).sum().sqrt())
