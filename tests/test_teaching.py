"""Mirrors cifar_lessons/teaching.py: a student from its recipe to its run, on made-up data."""

import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cifar_lessons import building, experiment, recipes, runs
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
from cifar_lessons.runtime import Runtime
from cifar_lessons.teaching import run_of, teacher_of

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
BIG = Recipe(
    name="big",
    model=ModelConfig(name="deep_cnn", options={"widths": [4, 4, 8, 8], "pools": 4}),
    data=DataConfig(mean=(0.5, 0.5, 0.5)),
    optim=OptimConfig(peak_lr=0.05),
    epochs=1,
    batch_size=20,
)
SMALL = dataclasses.replace(
    BIG,
    name="small",
    data=DataConfig(augment=AugmentConfig(flip="random", seed=0)),
    objective=Distillation(teacher="big", temperature=2.0),
    epochs=2,
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch, tmp_path):
    monkeypatch.setitem(recipes.RECIPES, "big", lambda: BIG)
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "recorded"))


@pytest.fixture(scope="module")
def data() -> Cifar:
    return synthetic(num_train=60, num_test=20, val_size=20)


@pytest.fixture
def out(data, tmp_path) -> Iterator[Path]:
    """With a teacher in it."""
    folder = tmp_path / "outputs"
    train(BIG, data, folder)
    return folder


def train(recipe: Recipe, data: Cifar, out: Path, *, seed: int = 0, **more) -> Path | None:
    teacher = teacher_of(recipe, data, seed=seed, out=out, runtime=FP32)
    return experiment.run(
        recipe,
        seed=seed,
        out=out / recipe.name / f"seed{seed}",
        data=data,
        runtime=FP32,
        progress=False,
        teacher=teacher,
        **more,
    )


def test_labels_alone_need_no_teacher(data, tmp_path):
    assert teacher_of(BIG, data, seed=0, out=tmp_path, runtime=FP32) is None


def test_a_student_learns_and_its_run_says_from_whom(data, out):
    folder = train(SMALL, data, out)
    assert folder is not None
    run = runs.read_run(folder)
    assert run.recipe["objective"]["kind"] == "distillation"
    assert run.provenance["teacher"]["name"] == "big seed0"
    assert re.fullmatch("[0-9a-f]{64}", run.provenance["teacher"]["weights"])
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert all(0 <= row["train_agreement"] <= 1 for row in run.history)


def test_the_teacher_sees_pixels_as_it_was_trained_and_the_students_views(data, out):
    teacher = teacher_of(SMALL, data, seed=0, out=out, runtime=FP32)
    assert teacher is not None
    model = building.load_model(runs.read_run(out / "big" / "seed0"), FP32)
    loader = experiment.TrainLoader(
        data.train,
        dataclasses.replace(SMALL.data, mean=(0.5, 0.5, 0.5)),
        batch_size=20,
        seed=3,
        teacher=teacher,
    )
    batch = next(iter(loader.epoch(1)))
    assert batch.teacher is not None
    torch.testing.assert_close(
        batch.teacher.float(), model(batch.images).detach(), rtol=2e-3, atol=2e-3
    )


def test_students_of_every_seed_share_the_answers(data, out):
    train(SMALL, data, out)
    [folder] = (out / "teachers").iterdir()
    before = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.npy")}
    train(SMALL, data, out, seed=1)
    assert {p.name: p.stat().st_mtime_ns for p in folder.glob("*.npy")} == before
    assert len(before) == 2


def test_a_student_that_was_stopped_ends_as_one_that_was_not(data, out, tmp_path):
    whole = train(SMALL, data, out)
    part = dataclasses.replace(SMALL, name="part")
    while train(part, data, out, deadline=0.0) is None:  # at once: one step, one epoch, …
        pass
    end = out / "part" / "seed0" / "weights.safetensors"
    assert whole is not None
    assert end.read_bytes() == (whole / "weights.safetensors").read_bytes()


def test_without_a_teachers_weights_the_line_says_what_to_type(data, tmp_path):
    with pytest.raises(UserError, match=r"big, the teacher of small, is not trained yet: `cifar-l"):
        teacher_of(SMALL, data, seed=0, out=tmp_path, runtime=FP32)


def test_a_teacher_of_other_settings_or_classes_is_refused(data, out, monkeypatch):
    other = dataclasses.replace(BIG, epochs=3)
    monkeypatch.setitem(recipes.RECIPES, "big", lambda: other)
    with pytest.raises(UserError, match=r"other settings \(epochs: recorded 1, now 3\)"):
        teacher_of(SMALL, data, seed=0, out=out, runtime=FP32)
    monkeypatch.undo()
    monkeypatch.setitem(recipes.RECIPES, "big", lambda: BIG)
    hundred = dataclasses.replace(SMALL, data=dataclasses.replace(SMALL.data, dataset="cifar100"))
    with pytest.raises(UserError, match="knows the classes of cifar10, and small learns cifar100"):
        teacher_of(hundred, data, seed=0, out=out, runtime=FP32)


def test_a_record_without_weights_gives_way_to_ones_own_run(data, out, tmp_path, monkeypatch):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "recorded"))
    shutil.copytree(out / "big" / "seed0", tmp_path / "recorded" / "big" / "seed0")
    assert run_of(SMALL, "big", out).folder == out / "big" / "seed0"
    with pytest.raises(UserError, match="big, the teacher of small, was recorded without its wei"):
        run_of(SMALL, "big", tmp_path / "empty")
    longer = dataclasses.replace(BIG, epochs=3)
    monkeypatch.setitem(recipes.RECIPES, "big", lambda: longer)
    with pytest.raises(UserError, match="big, the teacher of small, was recorded with other sett"):
        run_of(SMALL, "big", tmp_path / "empty")


@pytest.mark.parametrize("teacher", ["simclr_w16", "enas_search"])
def test_what_knows_no_classes_cannot_teach(data, out, teacher):
    wrong = dataclasses.replace(SMALL, objective=Distillation(teacher=teacher))
    with pytest.raises(UserError, match=f"{teacher} learns to tell no classes apart"):
        teacher_of(wrong, data, seed=0, out=out, runtime=FP32)


def test_an_unknown_teacher_offers_the_nearest_name(data, out):
    wrong = dataclasses.replace(SMALL, objective=Distillation(teacher="resnet19"))
    with pytest.raises(UserError, match="resnet18"):
        teacher_of(wrong, data, seed=0, out=out, runtime=FP32)


def test_a_distillation_without_a_teacher_is_one_line(data):
    with pytest.raises(UserError, match="small learns from big, and no teacher was given"):
        experiment.train(SMALL, data, seed=0, runtime=FP32, progress=False)
