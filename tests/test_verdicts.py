"""Mirrors cifar_lessons/verdicts.py: every rule can end each way that it says."""

import pytest

from cifar_lessons.claims import load_claims
from cifar_lessons.evaluation.metrics import Estimate
from cifar_lessons.verdicts import Evidence, at_least, equals, sides

CLAIMS = {claim.id: claim for claim in load_claims()}


def sure(mean: float, half_width: float = 0.005) -> Estimate:
    """An estimate whose 95 % interval has that half-width, from images alone."""
    return Estimate(mean, 5, 0.0, (half_width / 1.959964) ** 2)


# Rules.


@pytest.mark.parametrize(
    ("mean", "verdict", "words"),
    [
        (0.7201, "reproduced", "lies above 71.5 %"),
        (0.7151, "open", "holds 71.5 %"),
        (0.7149, "open", "holds 71.5 %"),
        (0.7099, "open", "lies below 71.5 %"),
    ],
)
def test_at_least_begins_half_a_unit_below_the_printed_number(mean, verdict, words):
    found, reason = at_least(CLAIMS["C05"], sure(mean))
    assert found == verdict
    assert words in reason


@pytest.mark.parametrize(
    ("mean", "half_width", "verdict"),
    [
        (0.140, 0.005, "reproduced"),
        (0.149, 0.005, "reproduced"),  # the interval still meets 14.5
        (0.151, 0.005, "corrected"),
        (0.129, 0.005, "corrected"),
        (0.140, 0.011, "open"),  # wider than the article's own precision: it could be anything
        (0.200, 0.011, "corrected"),
    ],
)
def test_equals_needs_an_interval_that_meets_the_number_and_can_tell(mean, half_width, verdict):
    assert equals(CLAIMS["C08"], sure(mean, half_width))[0] == verdict


def test_sides_are_corrected_for_their_number():
    almost = Estimate(0.022, 5, 0.0, 0.01**2)  # p = 0.028
    clear = Estimate(-0.05, 5, 0.0, 0.01**2)
    assert sides([almost], 0.0) == ["above"]
    assert sides([almost, almost], 0.0) == ["unclear", "unclear"]
    assert sides([almost, clear], 0.0) == ["above", "below"]  # Holm: the second is held to 0.05


# What judges see.


def test_differences_use_the_seeds_that_both_have(made_up_predictions):
    both = Evidence({"a": made_up_predictions(0.7, 5), "b": made_up_predictions(0.8, 2, salt=1)})
    assert both.difference("a", "b").n == 2
    assert "a" in both
    assert "c" not in both
