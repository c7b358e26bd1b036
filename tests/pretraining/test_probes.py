"""Mirrors cifar_lessons/pretraining/probes.py: probes on made-up data, a second long."""

import dataclasses

import numpy as np
import pytest
import torch

from cifar_lessons import building, experiment, recipes, runs
from cifar_lessons.config import ModelConfig
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.data.label_share import keep_share
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import accuracy
from cifar_lessons.evaluation.probe import choose_probe, features
from cifar_lessons.pretraining import probes as probing
from cifar_lessons.pretraining.results import UNTRAINED, is_current, probes_of
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")


@pytest.fixture(scope="module")
def data():
    return synthetic(num_train=600, num_test=100, val_size=100)


@pytest.fixture
def small(monkeypatch, data, tmp_path):
    """SimCLR's recipe with a tiny network, and the data in place of the real one."""
    make = recipes.RECIPES["simclr_w16"]
    tiny = dataclasses.replace(make(), model=ModelConfig(name="resnet18", options={"width": 2}))
    monkeypatch.setitem(recipes.RECIPES, "simclr_w16", lambda: tiny)
    monkeypatch.setattr(experiment, "load_data", lambda recipe, root: data)
    monkeypatch.setattr(probing, "SHARES", (0.005, 0.1, 1.0))
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "runs"))
    return tiny


def test_a_probe_a_share_and_draw_of_the_labels_that_runs_have(data, small):
    model = building.new_model(small, seed=0, num_classes=10, runtime=FP32)
    found = probing.probes(model, data, small, FP32)
    # Half a percent of 50 images a class is none.
    assert [(p["share"], p["draw"]) for p in found] == [(0.1, 0), (0.1, 1), (0.1, 2), (1.0, 0)]
    assert [p["labels"] for p in found] == [50, 50, 50, 500]
    chosen = keep_share(data.train, share=0.1, classes=10, seed=1)
    rows, val, test = (
        (features(model, split, small.data, runtime=FP32), split.labels.numpy())
        for split in (chosen, data.val, data.test)
    )
    probe = choose_probe(rows, val)
    assert found[1]["test_accuracy"] == round(accuracy(probe(*test)), 4)
    assert found[1]["strength"] == probe.strength
    assert found[3]["test_accuracy"] > 0.15  # even untrained features know something


def test_the_study_reads_as_it_was_written(data, small, recorded):
    recorded("simclr_w16", 0.5, weights={"bytes": 1, "sha256": "abc"})
    found = runs.status(small)[0][2]
    assert found is not None
    model = building.new_model(small, seed=7, num_classes=10, runtime=FP32)
    from safetensors.torch import save_file

    kept = {k: v.contiguous() for k, v in model.state_dict().items() if "head" not in k}
    save_file(kept, found.folder / "weights.safetensors")
    import hashlib

    digest = hashlib.sha256((found.folder / "weights.safetensors").read_bytes()).hexdigest()
    recorded("simclr_w16", 0.5, weights={"bytes": 1, "sha256": digest})
    values = probing.probe_networks(None)
    assert is_current(values)
    assert set(values["networks"]) == {UNTRAINED, "simclr_w16"}
    assert values["networks"]["simclr_w16"]["weights"] == digest
    read = probes_of(values)["simclr_w16"]
    stored = values["networks"]["simclr_w16"]["probes"]
    for probe, facts in zip(read, stored, strict=True):
        assert np.isclose(accuracy(probe.right), facts["test_accuracy"], atol=1e-4)


def test_without_a_recorded_network_the_command_is_told(small):
    with pytest.raises(UserError, match="`cifar-lessons train simclr_w16 --seed 0`, then `cifar-"):
        probing.probe_networks(None)
