"""Mirrors cifar_lessons/distilling/results.py."""

import dataclasses

import pytest

from cifar_lessons import recipes, recording
from cifar_lessons.distilling import results
from cifar_lessons.distilling.results import ARMS, STUDY, is_current, losses, recorded, share_of

FACTS = {"git_dirty": False}


@pytest.fixture
def store(tmp_path, monkeypatch, study):
    """Return a function that records the study with today's losses and some changes."""
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "runs"))

    def write(**changes: object) -> None:
        values = {**study.values, "arms": losses(), **changes}
        recording.record_study(STUDY, values, provenance=FACTS)

    return write


def test_a_study_is_read_where_there_is_one_of_todays_losses(store):
    assert recorded() is None
    store()
    found = recorded()
    assert found is not None
    assert found.provenance == FACTS
    assert found.missing == ()


def test_an_arm_with_another_loss_makes_it_old(store, monkeypatch):
    store()
    arm = recipes.get(ARMS[-1])
    other = dataclasses.replace(arm, objective=dataclasses.replace(arm.objective, temperature=7.0))
    monkeypatch.setitem(recipes.RECIPES, ARMS[-1], lambda: other)
    assert recorded() is None


def test_the_arms_are_the_recipes_that_have_this_teacher():
    assert list(losses()) == list(ARMS)
    assert {loss["teacher"] for loss in losses().values()} == {"resnet18"}
    assert is_current({"arms": losses()})
    assert not is_current({"arms": {}})


def test_students_that_were_recorded_since_are_named(recorded, study):
    recorded("resnet18_w16", 0.87, weights={"bytes": 1, "sha256": "abc"})
    recorded("mobilenet_w05", 0.83, weights={"bytes": 1, "sha256": "def"})
    recorded("mobilenet_w05_kd", 0.84, weights={"bytes": 1, "sha256": "xyz"})  # no student of it
    assert [run.name for run in results.trained()] == ["mobilenet_w05", "resnet18_w16"]
    values = {**study.values, "arms": losses(), "weights": {"resnet18_w16": "abc"}}
    recording.record_study(STUDY, values, provenance=FACTS)
    found = results.recorded()
    assert found is not None
    assert found.missing == ("mobilenet_w05",)


def test_a_run_without_weights_is_no_student(recorded):
    recorded("mobilenet_w05", 0.83)
    assert results.trained() == []


def test_the_share_is_the_teachers_part_of_both_norms(study):
    assert share_of(study.values, "new", "printed", "weights") == 0.25
    assert share_of(study.values, "new", "right", "weights") == 0.9
    assert share_of(study.values, "new", "right", "logits") == 0.5
