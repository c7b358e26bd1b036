"""Mirrors cifar_lessons/deploy/prepared.py: the files of a network, and how right they are."""

import numpy as np
import pytest

from cifar_lessons import recipes
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.deploy import prepared
from cifar_lessons.deploy.prepared import prepare, score
from cifar_lessons.deploy.runtimes import open_way

WAYS = ["eager", "ort", "ort_int8"]


@pytest.fixture(scope="module")
def data():
    return synthetic()


@pytest.fixture
def ready(monkeypatch, tmp_path, data, network):
    monkeypatch.setattr(recipes, "get", lambda name: tiny())
    monkeypatch.setattr(prepared, "_network", lambda recipe, runtime: (network, "f" * 64))
    return prepare("tiny", "tiny", WAYS, tmp_path, data, calibration=100)


def tiny():
    from dataclasses import replace

    from cifar_lessons.config import ModelConfig

    return replace(
        recipes.RECIPES["resnet18_w16"](),
        model=ModelConfig(name="resnet18", options={"width": 4}),
    )


def test_all_files_are_there_and_answer_alike(ready):
    assert (ready.facts["weights"], ready.facts["sha256"]) == ("recorded", "f" * 64)
    assert ready.facts["bytes"]["ort_int8"] < ready.facts["bytes"]["ort"]
    pixels = np.load(ready.folder / "pixels.npy")
    assert pixels.shape == (256, 32, 32, 3)
    exact, *others = (open_way(way, ready.folder, threads=1)(pixels[:4]) for way in WAYS)
    for found in others:
        assert np.abs(found - exact).max() < 0.5 * exact.std()


def test_scores_are_of_the_files_and_against_the_base(ready, data):
    found = score(ready, WAYS, data, images=150, threads=1)
    labels = data.test.labels[:150].numpy()
    pixels = prepared.as_pixels(data.test.images[:150])
    for way in WAYS:
        right = open_way(way, ready.folder, threads=1)(pixels).argmax(1) == labels
        assert found[way]["accuracy"] == pytest.approx(right.mean())
        gain = found[way]["accuracy"] - found["eager"]["accuracy"]
        assert found[way]["change"] == pytest.approx(gain)
        assert found[way]["low"] <= gain <= found[way]["high"]


def test_fresh_weights_have_no_score(ready, data):
    ready.facts["weights"] = "fresh"
    assert score(ready, WAYS, data, images=10, threads=1) == {}


def test_without_a_recorded_run_the_weights_are_fresh(monkeypatch, tmp_path):
    from cifar_lessons.runtime import detect

    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    network, digest = prepared._network(tiny(), detect(device="cpu", precision="fp32"))
    assert digest == ""
    assert not network.training
