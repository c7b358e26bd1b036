"""Finished and recorded runs with made-up numbers, as files."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from cifar_lessons import recording, runs
from cifar_lessons.config import Recipe, in_fold
from cifar_lessons.evaluation.metrics import Predictions

PROVENANCE = {
    "git_commit": "abc",
    "git_commits": ["abc"],
    "git_dirty": False,
    "data_digest": "a digest",
    "train_seconds": 90.0,
}
HISTORY = [
    {"epoch": 1, "train_loss": 1.23456789, "val_loss": 1.5},
    {"epoch": 2, "train_loss": 1.0, "val_loss": 1.25},
]


def predictions(right: float, *, n: int = 100) -> Predictions:
    """A share `right` of correct answers, in numbers that float16 holds exactly."""
    labels = np.arange(n) % 10
    shown = np.where(np.arange(n) < right * n, labels, (labels + 1) % 10)
    return Predictions(np.eye(10, dtype=np.float32)[shown] * 2.5, labels)


@dataclasses.dataclass
class Folders:
    """Where `train` wrote and where the records lie."""

    outputs: Path
    root: Path

    def write(
        self,
        recipe: Recipe,
        *,
        seed: int = 0,
        right: float = 0.74,
        recorded: bool = False,
        facts: dict[str, Any] | None = None,
        **provenance: Any,
    ) -> Path:
        """Write a finished run of a recipe, clean unless told otherwise."""
        folder = (self.root if recorded else self.outputs) / recipe.name / f"seed{seed}"
        recording.write_run(
            folder,
            recipe=recipe,
            seed=seed,
            provenance={**PROVENANCE, **provenance},
            history=HISTORY,
            logits={"test": predictions(right), "val": predictions(0.5)},
            extra={"parameters": 12, "official_order": True, **(facts or {})},
        )
        weights = {
            "layer.weight": np.linspace(-3, 3, 7, dtype=np.float32),
            "layer.steps": np.array(7, dtype=np.int64),
        }
        if not recorded:
            save_file(weights, folder / "weights.safetensors")
        return folder

    def record(self, recipe: Recipe, *, seed: int = 0, **kwargs: Any) -> runs.Run:
        return recording.record(recipe, seed=seed, outputs=self.outputs, root=self.root, **kwargs)


def write_folds(
    folders: Folders,
    recipe: Recipe,
    folds: Iterable[int] = range(5),
    *,
    seed: int = 0,
    recorded: bool = False,
    **provenance: Any,
) -> None:
    """Write finished folds of a cross-validation."""
    for fold in folds:
        part = in_fold(recipe, fold, folds=5, seed=seed)
        root = folders.root if recorded else folders.outputs
        index = np.arange(fold, 100, 5)
        recording.write_run(
            root / recipe.name / runs.run_key(part, seed),
            recipe=part,
            seed=seed,
            provenance={**PROVENANCE, **provenance},
            history=HISTORY,
            logits={"test": predictions(0.78), "val": predictions(0.5, n=20)},
            index={"val": index},
            extra={"parameters": 12, "official_order": True},
        )
