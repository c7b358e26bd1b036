"""What the tests of a search share: a tiny one that takes a second, and recorded made-up ones."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cifar_lessons import recipes, recording
from cifar_lessons.config import ArchitectureSearch, ModelConfig, Recipe
from cifar_lessons.enas.arms import ALONE, CONTROLS
from cifar_lessons.enas.space import OPERATIONS, plain


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Recipe]:
    """Return `(controller="reinforce", **fields of the objective) -> Recipe`."""

    def make(controller: str = "reinforce", **changes: Any) -> Recipe:
        objective = ArchitectureSearch(
            **{
                **{"controller": controller, "layers": 3, "updates_per_epoch": 2},
                **{"rewards_per_update": 2, "candidates": 4, "controller_lr": 0.01},
                **changes,
            }
        )
        return dataclasses.replace(
            recipes.get("enas_search"),
            objective=objective,
            model=ModelConfig(name="enas", options={"width": 4, "dropout": 0.1}),
            batch_size=16,
            epochs=2,
        )

    return make


@pytest.fixture(scope="session")
def data() -> Any:
    from cifar_lessons.data.cifar import synthetic

    return synthetic(num_train=80, num_test=20, val_size=20)


@pytest.fixture(scope="session")
def cpu() -> Any:
    import torch

    from cifar_lessons.runtime import Runtime

    return Runtime(device=torch.device("cpu"), precision="fp32")


BEST = plain(["c5", "s3", "c3", "s5", "c3", "mp"])


@pytest.fixture
def recorded_search(tmp_path, monkeypatch) -> Callable[..., Any]:
    """Return `(name="enas_search", best=BEST) -> recorded run` of a made-up search."""
    root = tmp_path / "runs"
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(root))

    def record(name: str = "enas_search", best: Any = BEST) -> Any:
        rng = np.random.default_rng(0)
        scores = {str(best): 0.7, "c3/c3/c3/c3/c3/c3": 0.5}
        scores |= {str(a): round(float(rng.uniform(0.3, 0.6)), 4) for a, _ in CONTROLS.values()}
        steps = range(1, 31)
        trace = {
            "update": list(steps),
            "epoch": [1] * 30,
            "reward": [0.01 * k for k in steps],
            "entropy": [21.1 - 0.05 * k for k in steps],
            "skip_share": [0.45] * 30,
            **{f"p_{op}": [1 / 6] * 30 for op in OPERATIONS},
        }
        means = {k: float(np.mean(v)) for k, v in trace.items() if k not in ("update", "epoch")}
        recording.write_run(
            root / name / "seed0",
            recipe=recipes.get(name),
            seed=0,
            provenance={
                "device": "Made-up CPU",
                "threads": 2,
                "precision": "bf16",
                "packages": {"torch": "9.8.7"},
                "git_commit": "abcdef0123456789",
                "train_seconds": 3600.0,
            },
            history=[{"epoch": e, "train_loss": 1 / e, **means} for e in (1, 2)],
            logits={},
            extra={
                "final": {"shared_val_accuracy": 0.7},
                "parameters": 1_000,
                "search": {
                    "best": str(best),
                    "candidates": [str(best), "c3/c3/c3/c3/c3/c3"],
                    "scores": scores,
                    "trace": trace,
                    "operations": [[0.3, 0.2, 0.2, 0.1, 0.1, 0.1]] * 6,
                    "skips": [[0.4] * 5] * 6,
                },
            },
            kind="search",
        )
        return root

    return record


@pytest.fixture
def everything(recorded_search, recorded) -> None:
    """Record both searches and two seeds of every network alone."""
    recorded_search("enas_search")
    recorded_search("enas_uniform", plain(["c3", "s3", "c5", "s3", "s3", "ap"]))
    for k, name in enumerate(ALONE):
        recorded(name, 0.70 + 0.01 * k, seeds=(0, 1), parameters=100_000 + k)
