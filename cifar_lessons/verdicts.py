"""From measurements to a verdict: what a judge sees and returns, and the rules that judges share.

A judge maps a claim's entry and the `Evidence` (predictions and history by seed, studies) to a
`Finding`. It writes nothing: what is recorded decides, and nobody types a verdict. The judges are
in the package `judges`, a module for each group of chapters. Where several comparisons are made for
one claim, their p-values are corrected by Holm's method before any is believed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cifar_lessons.evaluation.metrics import (
    Estimate,
    Predictions,
    holm,
    mean_interval,
    paired_difference,
)

Verdict = Literal["open", "reproduced", "corrected", "not measurable here"]
Kind = Literal["equals", "at_least", "ratio", "ordering", "undefined"]
Side = Literal["above", "below", "unclear"]
ALPHA = 0.05  # a 95 % interval and a 5 % test are one decision


@dataclass(frozen=True)
class Claim:
    """One entry of `book/claims.toml`. Accuracies are in percent there, as in the article."""

    id: str
    title: str
    says: str  # the article's statement, in our words
    article: str  # its number, as it prints it
    kind: Kind
    rule: str  # how the verdict comes about, in words
    chapter: str  # number of the chapter, such as "02"
    value: float | None = None
    precision: float = 0.0  # half a unit of the last digit that the article prints
    min_seeds: int = 1
    recipes: tuple[str, ...] = ()  # without all of these there is no verdict
    also: tuple[str, ...] = ()  # shown beside it where recorded
    studies: tuple[str, ...] = ()
    also_studies: tuple[str, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)  # more numbers of the article
    known: str = ""  # before measuring
    prediction: str = ""  # written down before measuring
    predicted: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # by recipe, in %
    measured: bool = False  # its runs are recorded, and must stay fresh
    elsewhere: str = ""  # why it is not measurable here, where it is not


@dataclass(frozen=True)
class Evidence:
    """What is recorded: test predictions and history by recipe and seed, parameters, studies.

    Searches are read from `root`, the folder of all that.
    """

    predictions: Mapping[str, Mapping[int, Predictions]] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    studies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    history: Mapping[str, Mapping[int, Sequence[Mapping[str, float]]]] = field(default_factory=dict)
    root: Path | None = None

    def __contains__(self, recipe: str) -> bool:
        """Return whether there is at least one run of that recipe."""
        return bool(self.predictions.get(recipe))

    def mean(self, recipe: str) -> Estimate:
        """Return its mean test accuracy over all recorded seeds."""
        return mean_interval(list(self.predictions[recipe].values()))

    def difference(self, base: str, other: str) -> Estimate:
        """Return the accuracy of `other` minus that of `base`, over the seeds of both."""
        a, b = self.predictions[base], self.predictions[other]
        shared = sorted(a.keys() & b.keys())
        return paired_difference([a[s] for s in shared], [b[s] for s in shared])


@dataclass(frozen=True)
class Finding:
    """What a judge found."""

    verdict: Verdict
    reason: str
    ours: str
    estimate: Estimate | None = None  # the number behind `ours`, as a fraction, where there is one
    details: tuple[str, ...] = ()


# --- Rules ---------------------------------------------------------------------------------


def sides(estimates: Sequence[Estimate], threshold: float) -> list[Side]:
    """Return on which side of a threshold each estimate lies, corrected for their number."""
    corrected = holm([e.p_value(threshold) for e in estimates])
    return [
        "unclear" if p >= ALPHA else ("above" if e.mean > threshold else "below")
        for e, p in zip(estimates, corrected, strict=True)
    ]


def at_least(claim: Claim, estimate: Estimate) -> tuple[Verdict, str]:
    """Decide "can reach V": printed as V, it begins at V less half a unit of its last digit.

    That our budget falls short of it refutes nothing: more epochs may reach it. So the answer is
    yes or open, and the reason says which side the interval lies on.
    """
    assert claim.value is not None
    begins = claim.value - claim.precision
    [side] = sides([estimate], begins / 100)
    if side == "unclear":
        return "open", f"the interval holds {begins:g} %, so these runs can't tell"
    if side == "below":
        return "open", f"not reached with this budget: the whole interval lies below {begins:g} %"
    return "reproduced", f"the whole interval lies above {begins:g} %"


def equals(claim: Claim, estimate: Estimate) -> tuple[Verdict, str]:
    """Decide "is V": V stands for all that rounds to it; a vague interval decides nothing."""
    assert claim.value is not None
    low, high = (claim.value + s * claim.precision for s in (-1, 1))
    if 100 * estimate.low > high or 100 * estimate.high < low:
        return "corrected", f"the whole interval lies outside {low:g} to {high:g}"
    if 100 * estimate.half_width > 2 * claim.precision:
        return "open", f"the interval is too wide for {low:g} to {high:g}: more seeds"
    return "reproduced", f"the interval meets {low:g} to {high:g}"


def percent(e: Estimate) -> str:
    """Return an accuracy as text: mean, interval and n."""
    only = "" if e.n > 1 else ", interval for test images only"
    return f"{100 * e.mean:.1f} % ({100 * e.low:.1f} to {100 * e.high:.1f}), n = {e.n}{only}"


def points(e: Estimate) -> str:
    """Return a difference as text, in percentage points."""
    text = f"{100 * e.mean:+.2f} points ({100 * e.low:+.2f} to {100 * e.high:+.2f}), n = {e.n}"
    return text.replace("-", "−") + ("" if e.n > 1 else ", interval for test images only")


def compare(evidence: Evidence, base: str, others: Sequence[str]) -> tuple[list[Side], list[str]]:
    """Return the side of 0 of each `other` minus `base`, Holm-corrected, and a line for each."""
    return compare_pairs(evidence, [(base, other) for other in others])


def compare_pairs(
    evidence: Evidence, pairs: Sequence[tuple[str, str]]
) -> tuple[list[Side], list[str]]:
    """Return the side of 0 of the second of each pair minus the first, as `compare` does."""
    found = [evidence.difference(base, other) for base, other in pairs]
    p_values = holm([e.p_value() for e in found])
    corrected = " after Holm's correction" if len(found) > 1 else ""  # the interval is without it
    lines = [
        f"{other} against {base}: {points(e)}, p = {max(p, 1e-4):.2g}{' or less' * (p < 1e-4)}"
        + corrected
        for (base, other), e, p in zip(pairs, found, p_values, strict=True)
    ]
    return sides(found, 0.0), lines
