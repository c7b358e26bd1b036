"""Proves that the exercises of chapter 8 have solutions, and that their checks find mistakes."""

import numpy as np
import pytest
from exercises import Exercises, cell, imports

from cifar_lessons.evaluation import calibration, metrics

NOTEBOOK = "08_evaluation.ipynb"
# What the cells before the exercises leave behind: imports, and the recorded answers of the best
# network, as the notebook finds them. A first attempt has to fail on these, not on made-up ones.
BEFORE = (
    imports(NOTEBOOK)
    + "\n"
    + cell(NOTEBOOK, "LADDER = ").split("\nbets")[0]
    + "\nbest = next(iter(ladder.values()))\n"
)


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        (0, {"np.argsort(sure)": "np.argsort(right)"}),
        (0, {"len(part) * abs(": "abs("}),
        (0, {"right[part].mean() - sure[part].mean()": "right.mean() - sure[part].mean()"}),
        (1, {"first.astype(float) - second": "first != second"}),
        (1, {"ddof=1) / len(difference)": "ddof=1)"}),
        (1, {"difference.var(ddof=1)": "difference.std(ddof=1)"}),
        (2, {".max(axis=1).mean()": ".mean()"}),
        (2, {".max(axis=1).mean()": ".max()"}),
        (2, {"counts.max(axis=1).mean() / images - p": "counts.std() / images"}),
        (2, {"(20_000, networks)": "(networks, 20_000)"}),
    ]


def test_the_best_of_twenty_lies_almost_two_standard_errors_above_as_solution_3_says():
    luck = TestExercises.run(TestExercises.solutions[2])["luck"]
    found = luck(20, 10_000, 0.9) / np.sqrt(0.9 * 0.1 / 10_000)
    assert 1.8 < found < 1.95


def test_with_unsorted_bins_exercise_1_fails_near_the_fitted_temperature_as_solution_1_says():
    """At T = 0.5 all bins err to one side, and there the mistake does not show."""
    names = TestExercises.run(TestExercises.attempts[0].split("for T in")[0])
    off = {}
    for T in (0.5, 1.2, 1.3):
        p = calibration.scaled(names["best"], T)
        mine = names["adaptive_error"](calibration.confidence(p), p.correct)
        off[T] = abs(mine - calibration.expected_calibration_error(p, adaptive=True))
    assert off[0.5] < 0.0001
    assert min(off[1.2], off[1.3]) > 0.003  # the check allows 0.002


def test_unsorted_bins_ask_only_whether_confidence_is_right_on_average_as_solution_1_says():
    names = TestExercises.run(TestExercises.attempts[0].split("for T in")[0])
    p = calibration.scaled(names["best"], 0.5)
    sure = calibration.confidence(p)
    found = names["adaptive_error"](sure, p.correct)
    on_average = abs(metrics.accuracy(p) - sure.mean())
    assert found == pytest.approx(on_average, abs=0.01)
