"""The study of the teacher's share of the gradient, as it is read; see `share`. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_lessons import recipes, runs
from cifar_lessons.fields import to_dict
from cifar_lessons.runs import Run

STUDY = "distillation_share"
# The printed loss, the same put right, and the others that are trained.
ARMS = ("mobilenet_w05_article", "mobilenet_w05_kd", "mobilenet_w05_kd_soft", "mobilenet_w05_dkd")
STUDENT = "mobilenet_w05"
TRAINED = (STUDENT, "resnet18_w16")  # those of them that are recorded with their weights
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Recorded:
    """The recorded study.

    Attributes:
        values: What was measured.
        provenance: Of the measurement.
        missing: Students that were recorded since, or whose weights are others now.
    """

    values: Values
    provenance: Mapping[str, Any]
    missing: tuple[str, ...]


def recorded(root: Path | None = None) -> Recorded | None:
    """Return the study, or None where there is none of today's losses.

    Args:
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    study = runs.find_study(STUDY, root=root)
    if study is None or not is_current(study["values"]):
        return None
    values = study["values"]
    kept = {run.name: run.weights["sha256"] for run in trained(root) if run.weights}
    changed = tuple(name for name, digest in kept.items() if values["weights"].get(name) != digest)
    return Recorded(values, study["provenance"], changed)


def is_current(values: Values) -> bool:
    """Return whether a study holds the losses that the arms have today."""
    return bool(values["arms"] == losses())


def losses() -> dict[str, Any]:
    """Return the objective of each arm, ready for JSON."""
    return {arm: to_dict(recipes.get(arm).objective) for arm in ARMS}


def trained(root: Path | None = None) -> list[Run]:
    """Return the recorded runs of `TRAINED` that keep their weights.

    Args:
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    found = [runs.status(recipes.get(name), root=root) for name in TRAINED]
    return [run for rows in found for _, _, run in rows if run and run.weights]


def share_of(values: Values, student: str, arm: str, place: str) -> float:
    """Return the teacher's share of the gradient, in [0, 1].

    Args:
        values: Of the study.
        student: One of its students.
        arm: One of its recipes.
        place: Where the gradient is taken: `logits` or `weights`.
    """
    terms = values["students"][student][arm][place]
    return float(terms["teacher"] / (terms["teacher"] + terms["labels"]))
