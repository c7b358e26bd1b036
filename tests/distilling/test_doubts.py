"""Mirrors cifar_lessons/distilling/doubts.py."""

import numpy as np
import pytest

from cifar_lessons.distilling.doubts import (
    doubt,
    from_sure_to_doubtful,
    soften,
    stored_answers,
)
from cifar_lessons.evaluation.metrics import Predictions, accuracy


def test_recorded_answers_are_the_runs_own(recorded):
    recorded("resnet18", 0.9, classes=list("abcdefghij"))
    found = stored_answers()
    assert found.recorded
    assert found.classes == tuple("abcdefghij")
    assert found.source == "resnet18, seed 0, on the test images"
    assert accuracy(found.predictions) == pytest.approx(0.9, abs=0.02)


def test_a_run_that_names_no_classes_gets_numbers(recorded):
    recorded("resnet18", 0.9)
    assert stored_answers().classes[3] == "class 3"


def test_without_a_run_they_are_made_up_and_say_so(tmp_path):
    found = stored_answers(root=tmp_path)
    assert not found.recorded
    assert found.source == "made up, since resnet18 is not recorded yet"
    assert 0.6 < accuracy(found.predictions) < 0.99  # such that there are doubts to look at
    assert len(found.classes) == found.predictions.logits.shape[1] == 10
    again = stored_answers(root=tmp_path)
    assert np.array_equal(found.predictions.logits, again.predictions.logits)


def test_a_stale_run_does_not_stand_in(recorded, monkeypatch):
    from dataclasses import replace

    from cifar_lessons import recipes

    recorded("resnet18", 0.9)
    changed = replace(recipes.get("resnet18"), epochs=3)
    monkeypatch.setitem(recipes.RECIPES, "resnet18", lambda: changed)
    assert not stored_answers().recorded


def test_softening_by_hand():
    logits = np.log(np.array([[8.0, 1.0, 1.0]]))
    assert soften(logits, 1) == pytest.approx(np.array([[0.8, 0.1, 0.1]]))
    assert soften(logits, 3) == pytest.approx(np.array([[0.5, 0.25, 0.25]]))  # cube roots: 2, 1, 1
    assert soften(np.array([1e4, 0.0]), 1) == pytest.approx([1, 0])
    assert soften(logits[0], 1e6) == pytest.approx([1 / 3] * 3, abs=1e-5)


def test_a_temperature_that_is_none_is_told():
    with pytest.raises(ValueError, match=r"temperature must be > 0, got 0; 4\.0"):
        soften(np.zeros(3), 0)


def test_doubt_goes_from_nothing_to_a_blind_guess():
    found = doubt(np.array([[100.0, 0, 0, 0], [0, 0, 0, 0], [50, 50, -50, -50]]))
    assert found == pytest.approx([0, np.log(4), np.log(2)], abs=1e-9)


def test_images_are_picked_by_their_place_among_all():
    sureness = np.random.default_rng(0).permutation(101)
    logits = np.zeros((101, 3), np.float32)
    logits[:, 0] = sureness / 10
    p = Predictions(logits, np.zeros(101, np.int64))
    picked = from_sure_to_doubtful(p, (0, 0.5, 0.99, 1))
    assert [int(sureness[i]) for i in picked] == [100, 50, 1, 0]
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got \[50\]"):
        from_sure_to_doubtful(p, [50])
