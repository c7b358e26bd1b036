"""Mirrors cifar_lessons/targets.py: when a target is reached, and what is known if it is not."""

import math

import pytest

from cifar_lessons.targets import Reached, first_reach, share_saved


def history(*accuracies: float) -> list[dict[str, float]]:
    return [
        {"epoch": e, "val_accuracy": a, "train_accuracy": 1.0, "seconds": 10.0 * e}
        for e, a in enumerate(accuracies, start=1)
    ]


def test_the_first_epoch_counts_though_a_later_one_falls_back():
    assert first_reach(history(0.5, 0.8, 0.7, 0.9), 0.8) == Reached(2, 20.0)
    assert first_reach(history(0.5, 0.8, 0.7, 0.9), 0.81) == Reached(4, 40.0)


def test_a_target_may_never_be_reached():
    assert first_reach(history(0.5, 0.7999), 0.8) is None
    assert first_reach([], 0.1) is None


def test_another_column_and_rows_without_it_or_without_seconds():
    assert first_reach(history(0.5), 0.9, column="train_accuracy") == Reached(1, 10.0)
    assert first_reach([{"epoch": 1}], 0.0) is None  # nothing was held out
    assert first_reach([{"epoch": 3, "val_accuracy": 0.5}], 0.5) == Reached(3, None)


LATE, EARLY, NEVER = history(*[0.5] * 9, 0.8), history(*[0.5] * 5, *[0.8] * 5), history(*[0.5] * 10)


@pytest.mark.parametrize(
    ("base", "other", "bounds"),
    [
        (LATE, EARLY, (0.4, 0.4)),  # 6 epochs for 10
        (EARLY, LATE, (1 - 10 / 6, 1 - 10 / 6)),
        (LATE, LATE, (0.0, 0.0)),
        (NEVER, EARLY, (1 - 6 / 11, 1.0)),  # the base takes 11 or more
        (EARLY, NEVER, (-math.inf, 1 - 11 / 6)),  # the other takes 11 or more
    ],
)
def test_the_share_saved_or_its_bounds(base, other, bounds):
    assert share_saved(base, other, 0.8) == pytest.approx(bounds)


def test_where_neither_arrives_nothing_is_known():
    assert share_saved(NEVER, NEVER, 0.8) is None
