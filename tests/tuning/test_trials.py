"""Mirrors cifar_lessons/tuning/trials.py."""

import json

import pytest

from cifar_lessons import recording
from cifar_lessons.tuning.trials import (
    Repeats,
    Trial,
    best,
    counted,
    from_values,
    noise,
    recorded,
    to_values,
    within_noise,
)


def trial(number: int, state: str, *values: float) -> Trial:
    return Trial(number=number, state=state, settings={"x": 1.0}, values=values)  # type: ignore[arg-type]


def test_the_best_is_complete_and_the_first_of_two_equals():
    found = [
        trial(0, "complete", 0.1, 0.5),
        trial(1, "pruned", 0.9),  # a value of the middle of a run, whatever it is
        trial(2, "complete", 0.4, 0.7),
        trial(3, "diverged", 0.8),
        trial(4, "complete", 0.2, 0.7),
    ]
    leader = best(found)
    assert leader is not None
    assert (leader.number, leader.accuracy) == (2, 0.7)
    assert found[3].accuracy == 0
    assert best(found[1:2]) is None


def test_failed_trials_do_not_count():
    found = [trial(0, "complete", 0.5), trial(1, "failed", 0.1), trial(2, "pruned", 0.1)]
    assert [t.number for t in counted(found)] == [0, 2]


def test_noise_is_pooled_over_the_settings_and_leaves_out_what_is_no_scatter():
    a = Repeats("a", {}, {0: 0.70, 1: 0.72})  # variance 0.0002, one degree of freedom
    b = Repeats("b", {}, {0: 0.50, 1: 0.50, 2: 0.50})  # 0, two
    alone, gone = Repeats("c", {}, {0: 0.9}), Repeats("d", {}, {0: 0.0, 1: 0.6})
    assert noise([a, b, alone, gone]) == pytest.approx((0.0002 / 3) ** 0.5)
    assert noise([alone]) == noise([]) == 0
    assert (alone.mean, alone.sd) == (0.9, 0.0)


def test_trials_within_noise_are_those_near_the_repeated_best(tuning):
    limit = tuning.repeats[0].mean - 2 * noise(tuning.repeats)
    close = within_noise(tuning)
    assert 0 < len(close) < len(tuning.trials)
    assert min(t.accuracy for t in close) >= limit
    assert {t.state for t in close} == {"complete"}


def test_a_search_survives_the_way_through_json(tuning, tmp_path):
    values = json.loads(json.dumps(to_values(tuning)))
    assert from_values(values, tuning.provenance) == tuning
    assert values["best"] == best(tuning.trials).number
    assert values["noise"] == noise(tuning.repeats)
    assert recorded(root=tmp_path) is None
    recording.record_study(
        "tuning", values, provenance={**tuning.provenance, "git_dirty": False}, root=tmp_path
    )
    back = recorded(root=tmp_path)
    assert back is not None
    assert back.trials == tuning.trials
    assert back.repeats == tuning.repeats
    assert back.epochs == 8
