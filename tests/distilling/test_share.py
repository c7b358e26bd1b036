"""Mirrors cifar_lessons/distilling/share.py: that what is measured is the gradient of the loss."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path

import pytest
import torch

from cifar_lessons import building, experiment, recipes, runs, studies
from cifar_lessons.config import DataConfig, ModelConfig, OptimConfig, Recipe
from cifar_lessons.data.cifar import Cifar, synthetic
from cifar_lessons.distilling import share
from cifar_lessons.distilling.results import ARMS, is_current
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
TINY = ModelConfig(name="deep_cnn", options={"widths": [4, 4, 8, 8], "pools": 4, "dropout": 0.0})
ARTICLE, RIGHT, SOFT, DKD = ARMS


@pytest.fixture(scope="module")
def data() -> Cifar:
    return synthetic(num_train=80, num_test=20, val_size=20)


@pytest.fixture
def _small(monkeypatch, tmp_path, data):
    """Small networks in place of the recipes', and two batches of 20 made-up images."""
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "recorded"))
    monkeypatch.setattr(share, "BATCHES", 2)
    monkeypatch.setattr(experiment, "load_data", lambda recipe, root: data)
    for name in ("resnet18", "resnet18_w16", "mobilenet_w05", *ARMS):
        small = dataclasses.replace(recipes.get(name), model=TINY, epochs=1, batch_size=20)
        monkeypatch.setitem(recipes.RECIPES, name, lambda small=small: small)


def record(name: str, images: Cifar, root: Path, *, weights: bool = True, **changes) -> None:
    recipe: Recipe = dataclasses.replace(
        recipes.get(name), optim=OptimConfig(peak_lr=0.02), **changes
    )
    recipes.RECIPES[name] = lambda: recipe  # restored by the fixture
    folder = root / "recorded" / name / "seed0"
    experiment.run(recipe, seed=0, out=folder, data=images, runtime=FP32, progress=False)
    path = folder / "run.json"
    facts = json.loads(path.read_text())
    if weights:
        content = (folder / "weights.safetensors").read_bytes()
        facts["weights"] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    path.write_text(json.dumps(facts))


@pytest.mark.usefixtures("_small")
def test_without_the_teacher_there_is_nothing_to_measure(tmp_path):
    with pytest.raises(UserError, match="resnet18 seed 0 is not recorded"):
        studies.measure("distillation_share", tmp_path)


@pytest.mark.usefixtures("_small")
def test_the_printed_term_is_a_tenth_and_the_labels_term_the_same(data, tmp_path):
    record("resnet18", data, tmp_path)
    found = studies.measure("distillation_share", tmp_path)
    assert (found["images"], found["classes"], found["batch_size"]) == (40, 10, 20)
    assert json.loads(json.dumps(found)) == found
    assert is_current(found)
    assert found["weights"] == {}
    [(name, arms)] = found["students"].items()
    assert name == "mobilenet_w05, untrained"
    for place in ("logits", "weights"):
        printed, right = arms[ARTICLE][place], arms[RIGHT][place]
        assert printed["labels"] == pytest.approx(right["labels"], rel=1e-4)
        assert right["teacher"] / printed["teacher"] == pytest.approx(10, rel=1e-3)
        # DKD weighs its labels with 1, the right one with 0.3.
        assert arms[DKD][place]["labels"] == pytest.approx(right["labels"] / 0.3, rel=1e-4)
        assert arms[SOFT][place]["labels"] == pytest.approx(right["labels"] / 3, rel=1e-4)


@pytest.mark.usefixtures("_small")
def test_kept_networks_are_students_too(data, tmp_path):
    record("resnet18", data, tmp_path)
    record("resnet18_w16", data, tmp_path)
    record("mobilenet_w05", data, tmp_path, weights=False)  # recorded, its weights were not kept
    found = studies.measure("distillation_share", tmp_path)
    assert list(found["students"]) == ["mobilenet_w05, untrained", "resnet18_w16, trained"]
    assert list(found["weights"]) == ["resnet18_w16"]


@pytest.mark.usefixtures("_small")
def test_the_gradient_on_the_logits_by_hand(data, tmp_path):
    """At zero logits: the labels' is 0.3 (1/K - y) and the teacher's 0.7 T (1/K - q), over B."""
    record("resnet18", data, tmp_path)
    recipe = recipes.get("mobilenet_w05")
    run = runs.load_run(recipes.get("resnet18"))
    [batch, _] = share._taught_batches(recipe, data, run, FP32)

    class Blind(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(10))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.bias.expand(len(x), 10)

    found = share._norms(Blind(), [batch], share._objective(RIGHT))
    b = len(batch)
    y = torch.nn.functional.one_hot(batch.labels, 10).float()
    assert batch.teacher is not None
    q = torch.softmax(batch.teacher / 3, dim=1)
    labels, teacher = 0.3 * (0.1 - y) / b, 0.7 * 3 * (0.1 - q) / b
    assert found["logits"]["labels"] == pytest.approx(labels.norm().item(), rel=1e-4)
    assert found["logits"]["teacher"] == pytest.approx(teacher.norm().item(), rel=1e-4)
    assert found["weights"]["teacher"] == pytest.approx(teacher.sum(0).norm().item(), rel=1e-4)
    assert found["logits"]["labels"] == pytest.approx(0.3 * math.sqrt(0.9 / b), rel=1e-4)


@pytest.mark.usefixtures("_small")
def test_the_teacher_sees_the_students_views_with_its_own_constants(data, tmp_path):
    record("resnet18", data, tmp_path, data=DataConfig(mean=(0.5, 0.5, 0.5)))
    recipe = recipes.get("mobilenet_w05")
    run = runs.load_run(recipes.get("resnet18"))
    [batch, _] = share._taught_batches(recipe, data, run, FP32)
    std = torch.tensor(recipe.data.std)[:, None, None]
    mean = torch.tensor(recipe.data.mean)[:, None, None]
    moved = batch.images + (mean - 0.5) / std
    network = building.load_model(run, FP32)
    assert batch.teacher is not None
    torch.testing.assert_close(batch.teacher, network(moved).detach(), atol=1e-4, rtol=1e-4)
