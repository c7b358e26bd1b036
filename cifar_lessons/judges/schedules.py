"""The judge of chapter 4: does a schedule save time, and does it end higher?

Time is counted in epochs until the validation accuracy first reaches a target, since a schedule
changes no second of an epoch. A target that one of the two runs does not reach gives a bound, and
one that neither reaches gives nothing; see `targets.share_saved`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Literal

from cifar_lessons.evaluation.metrics import Estimate, holm
from cifar_lessons.targets import first_reach, share_saved
from cifar_lessons.verdicts import (
    ALPHA,
    Claim,
    Evidence,
    Finding,
    Verdict,
    compare_pairs,
    points,
)

Place = Literal["inside", "outside", "unclear"]


@dataclass(frozen=True)
class Between:
    """A mean over seeds of which bounds are known: from `low` to `high`, equal where it is known.

    None stands for no bound on that side. The errors of both cover seeds alone.
    """

    low: Estimate | None
    high: Estimate | None

    def p_outside(self, low: float, high: float) -> float:
        """Return how likely so clear a miss of [low, high] would be by chance, in [0, 1]."""
        if self.high and self.high.mean < low:
            return self.high.p_value(low)
        if self.low and self.low.mean > high:
            return self.low.p_value(high)
        return 1.0

    def inside(self, low: float, high: float) -> bool:
        """Return whether the interval meets [low, high] and is at most twice as wide."""
        if self.low is None or self.high is None:
            return False
        begins, ends = self.low.low, self.high.high
        return begins <= high and ends >= low and ends - begins <= 2 * (high - low)

    def text(self) -> str:
        """Return it in percent, with its interval."""
        if self.low is None and self.high is None:
            return "unknown"
        if self.low is None:
            assert self.high
            return f"at most {_percent(self.high.mean)}"
        if self.high is None or self.high.mean == 1.0:  # nothing can save more than all
            return f"at least {_percent(self.low.mean)}"
        if self.low.mean == self.high.mean:
            low, high = (_percent(end) for end in (self.low.low, self.low.high))
            return f"{_percent(self.low.mean)} ({low} to {high})"
        return f"{_percent(self.low.mean)} to {_percent(self.high.mean)}"


def saved(evidence: Evidence, first: str, second: str, target: float) -> Between:
    """Return the share of epochs to a target that `second` saves, a mean over seeds.

    Args:
        evidence: Holds the histories.
        first: Recipe that it is compared with.
        second: The other recipe.
        target: Validation accuracy, a fraction in [0, 1].

    Returns:
        Bounds, over the seeds in which at least one of the two arrives. None where that is fewer
        than two seeds, since then no spread is known.
    """
    a, b = evidence.history[first], evidence.history[second]
    found = [share_saved(a[seed], b[seed], target) for seed in sorted(a.keys() & b.keys())]
    known = [bounds for bounds in found if bounds is not None]
    if len(known) < 2:
        return Between(None, None)
    return Between(_over_seeds([low for low, _ in known]), _over_seeds([high for _, high in known]))


def _over_seeds(values: Sequence[float]) -> Estimate | None:
    """Return the mean of numbers by seed with its error, or None if one of them is no bound."""
    if not all(map(math.isfinite, values)):
        return None
    return Estimate(fmean(values), len(values), variance(values) / len(values), 0.0)


def c10(claim: Claim, evidence: Evidence) -> Finding:
    """Judge both halves of "so much less time, so many points more" against a fixed rate."""
    assert claim.value is not None
    fixed, plateau = claim.recipes
    targets = claim.numbers["targets"]
    gain = evidence.difference(fixed, plateau)
    times = {t: saved(evidence, fixed, plateau, t / 100) for t in targets}
    times = {t: between for t, between in times.items() if between.low or between.high}
    band = [(claim.value + s * claim.precision) / 100 for s in (-1, 1)]
    higher = [
        (claim.numbers["points"] + s * claim.numbers["points_precision"]) / 100 for s in (-1, 1)
    ]
    parts = [(Between(gain, gain), higher), *((between, band) for between in times.values())]
    corrected = holm([part.p_outside(*limits) for part, limits in parts])
    places: list[Place] = [
        "outside" if p < ALPHA else "inside" if part.inside(*limits) else "unclear"
        for (part, limits), p in zip(parts, corrected, strict=True)
    ]
    ends, *on_the_way = places
    time: Place = "unclear"
    if "inside" in on_the_way:
        time = "inside"
    elif on_the_way and set(on_the_way) == {"outside"}:
        time = "outside"
    verdict: Verdict = "open"
    if "outside" in (ends, time):
        verdict = "corrected"
    elif ends == time == "inside":
        verdict = "reproduced"
    words = {"inside": "as claimed", "outside": "clearly not as claimed", "unclear": "unclear"}
    nowhere = "" if times else ", since neither reaches a target in two seeds"
    reason = f"final accuracy: {words[ends]}; time to a target: {words[time]}{nowhere}"
    ours = [f"epochs saved to {t:g} %: {between.text()}" for t, between in times.items()]
    return Finding(
        verdict, reason, "; ".join([*ours, points(gain)]), gain, _details(claim, evidence)
    )


def _details(claim: Claim, evidence: Evidence) -> tuple[str, ...]:
    """Return epochs to each target against both fixed rates, and all differences in accuracy."""
    fixed, plateau = claim.recipes
    low, others = claim.numbers["other_fixed"], [r for r in claim.also if r in evidence]
    lines = [
        f"epochs to {t:g} % validation accuracy: {_epochs(evidence, (base, plateau), t)}; "
        f"saved: {saved(evidence, base, plateau, t / 100).text()}"
        for base in (fixed, *(r for r in others if r == low))
        for t in claim.numbers["targets"]
    ]
    pairs = [(fixed, r) for r in (plateau, *others)]
    pairs += [(low, plateau)] if low in others else []
    return (*lines, *compare_pairs(evidence, pairs)[1])


def _epochs(evidence: Evidence, recipes: Sequence[str], target: float) -> str:
    """Return the epochs to a target of each recipe, a number a seed; a dash is never."""
    parts = []
    for recipe in recipes:
        reached = [
            first_reach(history, target / 100)
            for _, history in sorted(evidence.history[recipe].items())
        ]
        numbers = ", ".join(str(r.epoch) if r else "–" for r in reached)
        parts.append(f"{recipe} {numbers}")
    return "; ".join(parts)


def _percent(share: float) -> str:
    """Return a share as a whole percent, with a true minus sign."""
    return f"{100 * share:.0f} %".replace("-", "−")
