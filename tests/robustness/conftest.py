"""Recorded networks that nobody trained, with weights, on a tiny data set in the official files."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from cifar_lessons import building, recipes, recording, runs
from cifar_lessons.data.cifar import load
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")


@pytest.fixture
def keep(tiny_official, tmp_path: Path, monkeypatch) -> Callable[..., runs.Run]:
    """Return `(recipe, seed of its weights) -> run`: an untrained network as seed 0, recorded."""
    root = tmp_path / "runs"
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(root))
    data = load("cifar10", root=tiny_official.root, val_size=0)

    def record(name: str, weights_seed: int = 0) -> runs.Run:
        recipe = recipes.get(name)
        model = building.new_model(recipe, seed=weights_seed, num_classes=10, runtime=FP32)
        # Larger logits, so that near ties don't hang on the precision.
        with torch.no_grad():
            for parameter in model.head.parameters():
                parameter.mul_(50)
        content = save({k: v.contiguous() for k, v in model.state_dict().items()})
        folder = root / name / "seed0"
        facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        recording.write_run(
            folder,
            recipe=recipe,
            seed=0,
            provenance={"train_seconds": 1.0},
            history=[{"epoch": 1, "train_loss": 1.0}],
            logits={"test": predict(model, data.test, recipe.data, runtime=FP32)},
            extra={"weights": facts},
        )
        (folder / "weights.safetensors").write_bytes(content)
        return runs.read_run(folder)

    return record
