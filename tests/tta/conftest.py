"""What the tests of views share: a made-up study, and a recorded network with made-up images."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cifar_lessons import recording
from cifar_lessons.evaluation.view_sets import distinct_views
from cifar_lessons.tta.results import MERGED, REVISION, SETS, Recorded, networks, sets_as_json

CLASSES = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def scores(right: int, gains: dict[str, tuple[int, int]], images: int = 10_000) -> dict[str, Any]:
    """What is stored of a split; sets without an entry in `gains` correct 60 and break 40."""
    per_class = right // 10
    cells, by_class = {}, {"none": [per_class] * 10}
    for name in SETS:
        corrected, broken = gains.get(name, (60, 40))
        cells[name] = {how: [corrected, broken, 0.25 + 0.01 * i] for i, how in enumerate(MERGED)}
        by_class[name] = [per_class + (corrected - broken) // 10] * 10
    return {
        "images": images,
        "right": right,
        "loss": 0.3,
        "views": {view: right - 10 * i for i, view in enumerate(distinct_views())},
        "sets": cells,
        "by_class": by_class,
    }


def entry(
    right: int, gains: dict[str, tuple[int, int]], *, val: bool = True, weights: str = "abc"
) -> dict[str, Any]:
    """What is stored of a network."""
    learned: dict[str, Any] = {"weights": {}, "test": None}
    if val:
        learned = {"weights": {"plain": 0.6, "flip": 0.4}, "test": [130, 80, 0.24]}
    return {
        "facts": {
            "key": "seed0",
            "weights": weights,
            "dataset": "cifar10",
            "classes": CLASSES,
            "recorded_accuracy": right / 10_000,
            "precision": "bf16",
            "seconds": 90.0,
            "device": "Made-up CPU",
            "threads": 2,
            "started_at": "2026-01-02T03:04:05+00:00",
            "commit": "abcdef0123456789",
            "torch": "9.8.7",
        },
        "test": scores(right, gains),
        "val": scores(right // 2, {"flip": (90, 20)}, images=5_000) if val else None,
        "learned": learned,
    }


@pytest.fixture
def values() -> dict[str, Any]:
    """Two networks: a weak one with validation images, and a strong one without."""
    return {
        "revision": REVISION,
        "sets": sets_as_json(),
        "networks": {
            "strong": entry(9_000, {"flip": (120, 80), "rotations_90": (50, 950)}, val=False),
            "weak": entry(7_000, {"flip": (300, 100), "article": (400, 170)}),
        },
    }


@pytest.fixture
def study(values: dict[str, Any]) -> Recorded:
    return Recorded(networks(values), {"git_commit": "abcdef0123456789"}, ("late",))


@pytest.fixture
def kept(tmp_path, monkeypatch, tiny_official) -> Callable[..., Any]:
    """Return `(name, val_size=20, seed=0) -> Run`: it records a network with weights.

    Data are the made-up files of `tiny_official`, whose folder is CIFAR_LESSONS_DATA.
    """
    import torch
    from safetensors.torch import save

    from cifar_lessons import recipes, runs
    from cifar_lessons.config import DataConfig, ModelConfig, Recipe
    from cifar_lessons.data.loader import normalise
    from cifar_lessons.evaluation.metrics import Predictions
    from cifar_lessons.experiment import load_data
    from cifar_lessons.models import build_model

    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CIFAR_LESSONS_DATA", str(tiny_official.root))

    def record(name: str, *, val_size: int = 20, seed: int = 0) -> runs.Run:
        torch.manual_seed(seed)
        options = {"width": 2 + seed}
        recipe = Recipe(
            name=name,
            model=ModelConfig(name="resnet18", options=options),
            data=DataConfig(val_size=val_size),
            keep_weights=True,
        )
        monkeypatch.setitem(recipes.RECIPES, name, lambda: recipe)
        model = build_model("resnet18", **options).eval()
        # Without training, but not clueless: the head that fits the training images best.
        train = load_data(recipe, None).train
        with torch.no_grad():
            x = model.features(normalise(train.images, recipe.data))
            targets = torch.eye(10)[train.labels] - 0.1
            model.head.weight.copy_(9 * torch.linalg.lstsq(x, targets).solution.T)
        content = save({k: v.contiguous() for k, v in model.state_dict().items()})
        folder = tmp_path / "runs" / name / "seed0"
        labels = tiny_official.test[1]
        logits = Predictions(np.eye(10, dtype=np.float32)[labels], labels)
        facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        recording.write_run(
            folder,
            recipe=recipe,
            seed=0,
            provenance={"train_seconds": 1.0},
            history=[{"epoch": 1}],
            logits={"test": logits},
            extra={"parameters": 1_000 * (seed + 1), "weights": facts},
        )
        (folder / "weights.safetensors").write_bytes(content)
        return runs.read_run(folder)

    return record
