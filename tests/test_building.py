"""Mirrors cifar_lessons/building.py: first weights come from the seed, kept ones from their run."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_lessons import building, experiment, runs
from cifar_lessons.config import ModelConfig, OptimConfig, Recipe
from cifar_lessons.data.cifar import Cifar, synthetic
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
RECIPE = Recipe(
    name="tiny",
    model=ModelConfig(
        name="deep_cnn", options={"widths": [4, 4, 8, 8], "pools": 4, "batch_norm": True}
    ),
    optim=OptimConfig(peak_lr=0.05),
    epochs=1,
    batch_size=20,
)


@pytest.fixture(scope="module")
def data() -> Cifar:
    return synthetic(num_train=40, num_test=20, val_size=20)


@pytest.fixture(scope="module")
def finished(data: Cifar, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished run, shared: don't change it."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("outputs") / "tiny" / "seed0"
    experiment.run(RECIPE, seed=0, out=out, data=data, runtime=FP32, progress=False)
    return out


# --- before training --------------------------------------------------------------------------


def test_first_weights_depend_on_the_seed_alone():
    weights = []
    for global_seed, seed in ((1, 0), (2, 0), (1, 1)):
        torch.manual_seed(global_seed)
        model = building.new_model(RECIPE, seed=seed, num_classes=10, runtime=FP32)
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


# --- what a run has left ----------------------------------------------------------------------


def test_stored_logits_are_those_of_the_stored_weights(finished, data):
    found = runs.read_run(finished)
    model = building.load_model(found, FP32)
    for name, split in (("test", data.test), ("val", data.val)):
        again = predict(model, split, RECIPE.data, runtime=FP32)
        np.testing.assert_array_equal(found.logits(name).labels, split.labels.numpy())
        np.testing.assert_array_equal(found.logits(name).logits, again.logits.astype(np.float16))


def copy_of(finished: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in finished.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_run_without_weights_says_how_to_get_them(finished, tmp_path):
    out = copy_of(finished, tmp_path / "seed0")
    (out / "weights.safetensors").unlink()
    with pytest.raises(UserError, match=r"keeps no weights; `cifar-lessons train tiny --seed 0`"):
        building.load_model(runs.read_run(out), FP32)


def test_damaged_weights_are_told(finished, tmp_path):
    out = copy_of(finished, tmp_path / "seed0")
    weights = out / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(UserError, match=r"weights.safetensors is damaged \("):
        building.load_model(runs.read_run(out), FP32)


def test_weights_other_than_the_recorded_ones_are_refused(finished, tmp_path):
    found = dataclasses.replace(
        runs.read_run(copy_of(finished, tmp_path / "seed0")), weights={"sha256": "0" * 64}
    )
    with pytest.raises(UserError, match=r"is not the file that was recorded \(its sha256 differs"):
        building.load_model(found, FP32)
