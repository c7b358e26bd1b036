"""The judge of chapter 9: how much less than a single split does a mean of folds move?

The article gives a number without saying what it is a share of, so both readings are asked: points
of accuracy, and a share of the single split's standard deviation.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

from cifar_lessons.evaluation.cross_validation import Spread, fold_mean, spread
from cifar_lessons.verdicts import Claim, Evidence, Finding, Verdict

Place = Literal["inside", "outside", "unclear"]


def _place(interval: tuple[float, float], band: tuple[float, float]) -> Place:
    """Return where an interval lies: it must meet the band and be at most twice as wide."""
    if interval[1] < band[0] or interval[0] > band[1]:
        return "outside"
    return "inside" if interval[1] - interval[0] <= 2 * (band[1] - band[0]) else "unclear"


def less_of_it(s: Spread) -> tuple[float, tuple[float, float]]:
    """Return by which share of a single split's spread the mean of folds moves less, and how sure.

    Below 0 where it moves more.
    """
    low, high = (1 - 1 / end for end in s.ratio_interval)
    return 1 - 1 / s.ratio, (low, high)


def c04(claim: Claim, evidence: Evidence) -> Finding:
    """Judge "the standard deviation is 0.8 % lower" in both of its readings."""
    assert claim.value is not None
    facts = evidence.studies["folds"]
    s = spread(facts["held_out"])
    share, share_interval = less_of_it(s)
    band = ((claim.value - claim.precision) / 100, (claim.value + claim.precision) / 100)
    as_points, as_share = _place(s.difference_interval, band), _place(share_interval, band)
    verdict: Verdict = "open"
    if "inside" in (as_points, as_share):
        verdict = "reproduced"
    elif as_points == as_share == "outside":
        verdict = "corrected"
    words = {"inside": "as claimed", "outside": "clearly not as claimed", "unclear": "unclear"}
    reason = f"read as points: {words[as_points]}; read as a share: {words[as_share]}"
    if s.single < band[0]:
        reason += (
            f". A single split moves by {_points(s.single)} points in all, so it cannot fall by "
            f"{claim.value:g}"
        )
    ours = (
        f"a single split {_points(s.single)}, a mean of {s.folds} folds {_points(s.mean)}: "
        f"{_points(s.difference)} points less ({_ends(s.difference_interval)}), which is "
        f"{100 * share:.0f} % of it ({_share(share_interval[0])} to {_share(share_interval[1])})"
    )
    return Finding(verdict, reason, ours, details=_details(claim, facts, s))


def _details(claim: Claim, facts: Mapping[str, Any], s: Spread) -> tuple[str, ...]:
    test = spread(facts["test"])
    sizes = {"n_train": facts["train_images"], "n_test": facts["held_out_images"]}
    naive, corrected = (
        fold_mean(facts["held_out"][0], **sizes, corrected=c).standard_error for c in (False, True)
    )
    p, images = claim.numbers["accuracy"] / 100, claim.numbers["images"]
    needed = p * (1 - p) / (claim.value or 1) ** 2 * 1e4
    low, high = s.ratio_interval
    return (
        f"the ratio of the two is {s.ratio:.1f} ({low:.1f} to {high:.1f}); independent folds would "
        f"give {math.sqrt(s.folds):.1f}, and two folds of one repeat correlate by "
        f"{s.correlation:+.2f}".replace("-", "−"),
        f"on the test images, the same for all: one network {_points(test.single)} points, a mean "
        f"of {test.folds} networks {_points(test.mean)}",
        f"standard error of the first repeat's mean: naive {_points(naive)} points, corrected "
        f"{_points(corrected)}",
        f"by chance alone, {claim.numbers['accuracy']:g} % of {images:,} images moves by "
        f"{_points(math.sqrt(p * (1 - p) / images))} points; to move by {claim.value:g} it takes a "
        f"split of {needed:,.0f} images",
    )


def _points(value: float) -> str:
    return f"{100 * value:.2f}".replace("-", "−")


def _ends(interval: tuple[float, float]) -> str:
    return f"{_points(interval[0])} to {_points(interval[1])}"


def _share(value: float) -> str:
    return f"{100 * value:.0f}".replace("-", "−")
