"""From measurements to a verdict: a rule for each kind of claim, and a judge for each claim.

Judges see `Evidence` (predictions by seed, studies) and the claim's entry, and return a `Finding`.
They are pure: what is recorded decides, and nobody types a verdict. Where several comparisons are
made for one claim, their p-values are corrected by Holm's method before any is believed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
    """What is recorded: test predictions by recipe and seed, parameters, and studies."""

    predictions: Mapping[str, Mapping[int, Predictions]] = field(default_factory=dict)
    parameters: Mapping[str, int] = field(default_factory=dict)
    studies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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
    """Decide "reaches V": printed as V, it begins at V less half a unit of its last digit."""
    assert claim.value is not None
    begins = claim.value - claim.precision
    [side] = sides([estimate], begins / 100)
    if side == "unclear":
        return "open", f"the interval holds {begins:g} %, so these runs can't tell"
    verdict: Verdict = "reproduced" if side == "above" else "corrected"
    return verdict, f"the whole interval lies {side} {begins:g} %"


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


def _compare(evidence: Evidence, base: str, others: Sequence[str]) -> tuple[list[Side], list[str]]:
    """Return the side of 0 of each `other` minus `base`, Holm-corrected, and a line for each."""
    found = [evidence.difference(base, other) for other in others]
    p_values = holm([e.p_value() for e in found])
    lines = [
        f"{other} against {base}: {points(e)}, p = {max(p, 1e-4):.2g}{' or less' * (p < 1e-4)}"
        for other, e, p in zip(others, found, p_values, strict=True)
    ]
    return sides(found, 0.0), lines


# --- Judges --------------------------------------------------------------------------------


def _c01(claim: Claim, evidence: Evidence) -> Finding:
    facts = evidence.studies["data_facts"]
    wrong = [
        f"{name} is {facts[name]}, not {told}"
        for name, told in claim.numbers["cifar10"].items()
        if facts[name] != told
    ]
    same = facts["duplicates"]
    details = [
        f"images of each class: {facts['train_per_class']} to train with, "
        f"{facts['test_per_class']} to test with",
        f"exact copies: {same['within_train']} within train, {same['within_test']} within test, "
        f"{same['test_in_train']} test images are in train",
        f"{same['test_near_train']} test images nearly equal a train image at the same place; "
        "copies that are shifted or scaled escape this search",
    ]
    hundred = evidence.studies.get("data_facts_cifar100")
    if hundred and hundred["classes"] != claim.numbers["cifar100_classes"]:
        wrong.append(f"CIFAR-100 has {hundred['classes']} classes")
    rest = "" if hundred else "; CIFAR-100 is not counted yet"
    return Finding(
        "corrected" if wrong else "reproduced",
        ("; ".join(wrong) or "every count equals the article's") + rest,
        f"{facts['train_images']:,} + {facts['test_images']:,} images, {facts['classes']} classes",
        details=tuple(details),
    )


def _c02(claim: Claim, evidence: Evidence) -> Finding:
    facts = evidence.studies["data_facts"]
    wrong = []
    for name in ("mean", "std"):
        half = claim.numbers[f"{name}_precision"]
        for channel, told, ours in zip(
            ("red", "green", "blue"), claim.numbers[name], facts[name], strict=True
        ):
            if abs(told - ours) > half:
                wrong.append(f"{name} of {channel} is {ours:.5f}, printed {told}")
    constants = "; ".join(f"{n} {', '.join(f'{v:.4f}' for v in facts[n])}" for n in ("mean", "std"))
    base, *others = claim.recipes
    found, lines = _compare(evidence, base, others)
    came = "as predicted, no effect can be seen" if set(found) == {"unclear"} else "an effect shows"
    return Finding(
        "corrected" if wrong else "reproduced",
        f"{'; '.join(wrong) or 'all six constants round to those printed'}. In training: {came}",
        constants,
        details=(*lines, f"mean of per-image stds: {[round(v, 4) for v in facts['image_std']]}"),
    )


def _c03(claim: Claim, evidence: Evidence) -> Finding:
    base, flip = claim.recipes
    more = [r for r in claim.also if r in evidence]
    found, lines = _compare(evidence, base, [flip, *more])
    estimate = evidence.difference(base, flip)
    words: dict[Side, tuple[Verdict, str]] = {
        "above": ("reproduced", "flips raise the test accuracy"),
        "below": ("corrected", "flips lower the test accuracy"),
        "unclear": ("open", "the interval holds 0, so these runs can't tell"),
    }
    verdict, reason = words[found[0]]
    return Finding(verdict, reason, points(estimate), estimate, tuple(lines))


def _accuracy(claim: Claim, evidence: Evidence) -> Finding:
    estimate = evidence.mean(claim.recipes[0])
    verdict, reason = at_least(claim, estimate)
    details = [f"{r}: {percent(evidence.mean(r))}" for r in claim.also if r in evidence]
    return Finding(verdict, reason, percent(estimate), estimate, tuple(details))


def _c06(claim: Claim, evidence: Evidence) -> Finding:
    assert claim.value is not None
    low, high = claim.numbers["ratio"]
    base, *arms = claim.recipes
    also = [r for r in claim.also if r in evidence]
    means = {r: evidence.mean(r) for r in (*arms, *also)}
    ratio = {r: evidence.parameters[r] / evidence.parameters[base] for r in means}
    begins = claim.value - claim.precision
    reach = dict(zip(arms, sides([means[r] for r in arms], begins / 100), strict=True))
    enough = [r for r in arms if reach[r] == "above"]
    other = [r for r in enough if not low <= ratio[r] <= high]
    verdict: Verdict
    if other:
        verdict = "corrected"
        reason = f"{claim.value:g} % is reached without {low:g} to {high:g} times the weights: " + (
            ", ".join(f"{r} has {ratio[r]:.2f} times" for r in other)
        )
    elif enough:
        verdict = "reproduced"
        reason = f"what reaches {claim.value:g} % has {low:g} to {high:g} times the weights"
    elif set(reach.values()) == {"below"}:
        verdict, reason = "corrected", f"none of them reaches {begins:g} %"
    else:
        verdict, reason = "open", f"no interval is clear of {begins:g} %"
    return Finding(
        verdict,
        reason,
        "; ".join(f"{100 * means[r].mean:.1f} % at {ratio[r]:.2f}x" for r in arms),
        details=tuple(f"{r}, {ratio[r]:.2f} times the weights: {percent(means[r])}" for r in means),
    )


def _c08(claim: Claim, evidence: Evidence) -> Finding:
    simple, deep = claim.recipes
    estimate = evidence.difference(simple, deep)
    verdict, reason = equals(claim, estimate)
    assert claim.value is not None
    own = claim.numbers["resnet18"] - claim.numbers["simple_cnn"]
    if abs(own - claim.value) > 2 * claim.precision:
        verdict = "corrected"
        reason = (
            f"the article's own figures give {claim.numbers['resnet18']:g} − "
            f"{claim.numbers['simple_cnn']:g} = {own:g}, not {claim.value:g}; measured: {reason}"
        )
    details = []
    fair, narrow, *ablations = claim.also
    if fair in evidence:
        details.append(f"{deep} against {fair}: {points(evidence.difference(fair, deep))}")
    ablations = [r for r in ablations if r in evidence]
    if narrow in evidence and ablations:
        details += _compare(evidence, narrow, ablations)[1]
    return Finding(verdict, reason, points(estimate), estimate, tuple(details))


def _c09(claim: Claim, evidence: Evidence) -> Finding:
    blocks = evidence.studies["parameter_counts"]["blocks"]
    needs = [b for b in blocks["resnet50"] if b not in claim.numbers["blocks"]]
    deep = claim.recipes[-1]
    means = [evidence.mean(r) for r in claim.recipes]
    trains = sides(means, claim.numbers["trains"] / 100)
    details = [f"{r}: {percent(e)}" for r, e in zip(claim.recipes, means, strict=True)]
    details += [f"{r} is made of {', '.join(b)}" for r, b in blocks.items()]
    estimate = means[-1]
    if trains[-1] != "above":
        reason = f"{deep} is not clearly above {claim.numbers['trains']:g} %"
        return Finding("open", reason, percent(estimate), estimate, tuple(details))
    if needs:
        reason = (
            f"ResNet-50 needs a block that is not printed: {', '.join(needs)}; with it, it trains"
        )
        return Finding("corrected", reason, percent(estimate), estimate, tuple(details))
    return Finding(
        "reproduced", "the printed block is enough", percent(estimate), estimate, tuple(details)
    )


JUDGES: dict[str, Callable[[Claim, Evidence], Finding]] = {
    "C01": _c01,
    "C02": _c02,
    "C03": _c03,
    "C05": _accuracy,
    "C06": _c06,
    "C07": _accuracy,
    "C08": _c08,
    "C09": _c09,
}
