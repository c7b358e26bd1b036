"""Mirrors cifar_lessons/notebook.py: what the first cell of a chapter finds and says."""

import dataclasses

import pytest
import torch

from cifar_lessons import notebook
from cifar_lessons.config import (
    AugmentConfig,
    DataConfig,
    Distillation,
    ModelConfig,
    OptimConfig,
    Recipe,
)
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


class Asked(torch.nn.Module):
    """A network that counts the images it is asked about, and always says class 3."""

    def __init__(self) -> None:
        super().__init__()
        self.images = 0

    def forward(self, x):
        self.images += len(x)
        return torch.eye(10)[3].expand(len(x), 10)


@pytest.mark.parametrize(("profile", "images", "epochs"), [("quick", 100, 2), ("full", 150, 3)])
def test_live_students_share_a_teachers_answers(data, monkeypatch, profile, images, epochs):
    monkeypatch.setattr(notebook, "QUICK_IMAGES", 100)
    views = DataConfig(augment=AugmentConfig(flip="random", seed=0))
    recipe = dataclasses.replace(RECIPE, data=views, objective=Distillation(teacher_weight=1.0))
    session, network = Session(data, FP32, profile), Asked()
    teacher = session.teacher(network, recipe)
    assert network.images == 0
    first = session.train(recipe, teacher=teacher)
    assert network.images == images * epochs
    assert "train_agreement" in first.history[0]
    session.train(recipe, teacher=teacher, seed=1)
    assert network.images == images * epochs  # another seed, the same views


def test_a_live_student_of_other_views_is_refused(data):
    session = Session(data, FP32, "full")
    teacher = session.teacher(Asked(), RECIPE)
    other = DataConfig(augment=AugmentConfig(flip="random", seed=0))
    with pytest.raises(ValueError, match="answers for other views"):
        session.train(RECIPE, teacher=teacher, data=other, objective=Distillation())


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


def test_what_the_pages_were_built_with_is_told(data):
    told = dict(notebook.built_with(Session(data, FP32, "quick")).rows)
    assert told["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert told["data"] == "the synthetic twin"
    assert told["profile"] == "quick"
    assert "not installed" not in told["scikit-learn"]
