"""Mirrors cifar_lessons/evaluation/resolution.py."""

import math

import numpy as np
import pytest
from scipy import stats

from cifar_lessons.evaluation.metrics import Predictions, accuracy
from cifar_lessons.evaluation.resolution import (
    disagreement,
    images_needed,
    noise,
    smallest_difference,
)


def answers(right: np.ndarray) -> Predictions:
    return Predictions(np.stack([right, ~right], axis=1), np.zeros(len(right), np.int64))


def test_disagreement_counts_images_where_exactly_one_is_right():
    a, b = (
        answers(np.array([True, True, False, False])),
        answers(np.array([True, False, True, False])),
    )
    assert disagreement(a, b) == 0.5
    assert disagreement(a, a) == 0


def test_the_two_functions_undo_each_other():
    for d in (0.03, 0.1, 0.5):
        for images in (500, 10_000, 1_000_000):
            smallest = smallest_difference(images, d)
            assert images_needed(smallest, d) == pytest.approx(images, rel=0.001, abs=1)


def test_the_power_is_what_was_asked_for():
    """Simulated: draw images on which two networks differ so, and test with McNemar's."""
    images, d, power = 2_000, 0.1, 0.8
    delta = smallest_difference(images, d, power=power)
    rng = np.random.default_rng(0)
    draws = rng.multinomial(images, [(d + delta) / 2, (d - delta) / 2, 1 - d], size=2_000)
    p_values = stats.chi2.sf((draws[:, 0] - draws[:, 1]) ** 2 / (draws[:, 0] + draws[:, 1]), 1)
    assert (p_values < 0.05).mean() == pytest.approx(power, abs=0.03)


def test_four_times_the_images_halve_the_difference():
    assert smallest_difference(40_000, 0.1) == pytest.approx(
        smallest_difference(10_000, 0.1) / 2, rel=0.01
    )


def test_too_few_images_show_nothing_but_total_victory():
    assert smallest_difference(10, 0.05) == 0.05


def test_noise_of_a_single_run():
    rng = np.random.default_rng(1)
    hard = rng.random(3_000) < 0.3
    runs = [answers(~hard & (rng.random(3_000) < share)) for share in (0.94, 0.96, 0.98, 1.0)]
    found = noise(runs)
    values = [accuracy(run) for run in runs]
    assert found.n == 4
    assert found.seeds == pytest.approx(np.std(values, ddof=1))
    p = np.mean(values)
    assert found.images == pytest.approx(math.sqrt(p * (1 - p) / 3_000), rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: disagreement(p, answers(np.ones(3, bool))), r"\(5 and 3, or other labels\)"),
        (lambda p: images_needed(0.0, 0.1), r"difference must lie in \(0, 0.1\].*got 0.0"),
        (lambda p: images_needed(0.2, 0.1), "got 0.2; two networks can't differ by more"),
        (lambda p: images_needed(0.1, 1.5), r"disagreement must lie in \(0, 1\], got 1.5"),
        (lambda p: smallest_difference(0, 0.1), "images must be >= 1, got 0"),
        (lambda p: smallest_difference(9, 0), "got 0; 0.1 is usual"),
        (lambda p: smallest_difference(9, 0.1, power=80), r"power must lie in \(0.5, 1\), got 80"),
        (lambda p: images_needed(0.01, 0.1, level=95), "level must lie"),
        (lambda p: noise([p]), "two seeds or more are needed, got 1"),
    ],
)
def test_mistakes_name_the_value_and_the_mend(call, message):
    with pytest.raises(ValueError, match=message):
        call(answers(np.ones(5, bool)))
