"""What the tests of folds share: a tiny recipe, its data, and finished folds on disk."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cifar_lessons import recording, runs
from cifar_lessons.config import ModelConfig, OptimConfig, Recipe, in_fold
from cifar_lessons.data.cifar import Cifar, Split, synthetic
from cifar_lessons.data.folds import fold_split
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.runtime import Runtime

RECIPE = Recipe(
    name="tiny",
    model=ModelConfig(name="deep_cnn", options={"widths": [4, 4, 4, 4], "pools": 4}),
    optim=OptimConfig(peak_lr=0.02),
    epochs=2,
    batch_size=20,
)


@pytest.fixture
def recipe() -> Recipe:
    return RECIPE


@pytest.fixture
def runtime() -> Runtime:
    return Runtime(device=torch.device("cpu"), precision="fp32")


@pytest.fixture(scope="session")
def whole() -> Cifar:
    """Passes for real data; nothing is held out."""
    made_up = synthetic(num_train=90, num_test=20, val_size=0)
    return dataclasses.replace(made_up, digest="a digest", official_order=True)


@pytest.fixture
def load(whole: Cifar) -> Callable[[Recipe], Cifar]:
    """Return what `experiment.load_data` gives for a recipe of one fold."""

    def cut(recipe: Recipe) -> Cifar:
        data, images = recipe.data, whole.train
        train, val = fold_split(
            images.labels.numpy(), folds=data.folds, fold=data.fold, seed=data.split_seed
        )
        parts: list[Split] = [images[torch.from_numpy(which)] for which in (train, val)]
        return dataclasses.replace(whole, train=parts[0], val=parts[1])

    return cut


@pytest.fixture
def write_folds() -> Callable[..., list[Path]]:
    """Return a function that writes finished folds of a recipe, trained on nothing.

    `right` is the accuracy of each fold, give or take two images. `labels` are those that were
    trained on, where some of them are wrong.
    """

    def write(
        root: Path,
        recipe: Recipe,
        *,
        folds: int = 5,
        seed: int = 0,
        images: int = 200,
        right: float = 0.8,
        labels: np.ndarray | None = None,
        facts: dict[str, Any] | None = None,
        **provenance: Any,
    ) -> list[Path]:
        true = np.arange(images) % 10
        given = true if labels is None else labels
        rng = np.random.default_rng(seed)
        folders = []
        for fold in range(folds):
            part = in_fold(recipe, fold, folds=folds, seed=seed)
            _, held_out = fold_split(given, folds=folds, fold=fold, seed=seed)

            def predicted(labels: np.ndarray) -> np.ndarray:
                hits = round(right * len(labels)) + rng.integers(-2, 3)
                hit = rng.permutation(len(labels)) < hits
                shown = np.where(hit, labels, (labels + 1) % 10)
                return (np.eye(10) * 3 + 0.1 * rng.normal(size=(10, 10)))[shown].astype(np.float16)

            folder = root / recipe.name / runs.run_key(part, seed)
            recording.write_run(
                folder,
                recipe=part,
                seed=seed,
                provenance={
                    **{"git_commit": "a" * 40, "git_commits": ["a" * 40], "git_dirty": False},
                    **{"data_digest": "a digest", "train_seconds": 60.0, "cpu_seconds": 50.0},
                    **{"device": "Made-up CPU", "threads": 1, "precision": "bf16"},
                    "packages": {"torch": "9.8.7"},
                    **provenance,
                },
                history=[{"epoch": 1, "train_loss": 1.0}],
                logits={
                    "test": Predictions(predicted(true[:100]), true[:100]),
                    "val": Predictions(predicted(true[held_out]), given[held_out]),
                },
                index={"val": held_out},
                extra={"parameters": 7, "official_order": True, **(facts or {})},
            )
            folders.append(folder)
        return folders

    return write
