"""Mirrors cifar_lessons/notebook.py: what the first cell of a chapter finds and says."""

import dataclasses

import pytest
import torch

from cifar_lessons import notebook
from cifar_lessons.config import ModelConfig, OptimConfig, Recipe
from cifar_lessons.data.cifar import Cifar, synthetic
from cifar_lessons.errors import UserError
from cifar_lessons.notebook import Session, profile, start
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
RECIPE = Recipe(
    name="tiny",
    model=ModelConfig(name="deep_cnn", options={"widths": [4, 4, 4, 4], "pools": 4}),
    optim=OptimConfig(peak_lr=0.01),
    epochs=3,
    batch_size=50,
)


@pytest.fixture(scope="module")
def data() -> Cifar:
    return synthetic(num_train=200, num_test=50, val_size=50)


@pytest.mark.parametrize("chosen", ["quick", "full"])
def test_the_variable_chooses_the_profile(monkeypatch, chosen):
    monkeypatch.setenv("CIFAR_LESSONS_PROFILE", chosen)
    assert profile() == chosen


@pytest.mark.parametrize(("device", "expected"), [("cpu", "quick"), ("cuda", "full")])
@pytest.mark.parametrize("empty", [False, True])
def test_without_it_an_accelerator_means_full(monkeypatch, device, expected, empty):
    if empty:
        monkeypatch.setenv("CIFAR_LESSONS_PROFILE", "")
    else:
        monkeypatch.delenv("CIFAR_LESSONS_PROFILE", raising=False)
    found = dataclasses.replace(FP32, device=torch.device(device))
    monkeypatch.setattr(notebook.runtime, "detect", lambda: found)
    assert profile() == expected


def test_another_profile_is_told(monkeypatch):
    monkeypatch.setenv("CIFAR_LESSONS_PROFILE", "fast")
    with pytest.raises(UserError, match="must be quick or full, got 'fast'; try quick"):
        profile()


def test_a_quick_run_is_cut_and_labelled(data, capsys, monkeypatch):
    monkeypatch.setattr(notebook, "QUICK_IMAGES", 100)
    result = Session(data, FP32, "quick").train(RECIPE)
    out = capsys.readouterr().out
    assert out.startswith("A quick taste, not a result: 100 images, 2 epochs, cpu, fp32.\n")
    assert [row["epoch"] for row in result.history] == [1, 2]


def test_a_full_run_is_the_recipe_s_own(data, capsys):
    result = Session(data, FP32, "full").train(RECIPE)
    assert "taste" not in capsys.readouterr().out
    assert len(result.history) == RECIPE.epochs
    assert result.finished


def test_fields_can_be_changed_for_a_lesson(data):
    result = Session(data, FP32, "full").train(RECIPE, epochs=1)
    assert len(result.history) == 1
    with pytest.raises(TypeError, match="epoch"):
        Session(data, FP32, "full").train(RECIPE, epoch=1)


def test_start_says_what_it_found(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CIFAR_LESSONS_DATA", str(tmp_path))
    monkeypatch.setenv("CIFAR_LESSONS_PROFILE", "quick")
    session = start()
    banner, line = capsys.readouterr().out.splitlines()
    assert banner.startswith("SYNTHETIC DATA: ")
    assert line.startswith("data: synthetic twin, 1,500 training images · device: ")
    assert line.endswith("profile: quick")
    assert session.data.synthetic


def test_start_names_the_real_data(tiny_official, monkeypatch, capsys):
    monkeypatch.setenv("CIFAR_LESSONS_DATA", str(tiny_official.root))
    monkeypatch.setenv("CIFAR_LESSONS_PROFILE", "full")
    # The split of 5,000 does not fit 120 images.
    real = notebook.load_or_synthetic
    monkeypatch.setattr(notebook, "load_or_synthetic", lambda name: real(name, val_size=20))
    session = start()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("data: real cifar10, 100 training images · device: ")
    assert line.endswith("profile: full")
    assert not session.data.synthetic
