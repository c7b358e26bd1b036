"""Judges of chapter 11: the distillation loss as it is printed, and what a student loses."""

from cifar_lessons.distilling.results import STUDY, is_current, share_of
from cifar_lessons.verdicts import (
    Claim,
    Evidence,
    Finding,
    Side,
    Verdict,
    compare,
    compare_pairs,
    points,
    sides,
)

ARM_SEEDS = 3  # of each loss, as C15's rule has it


def c14(claim: Claim, evidence: Evidence) -> Finding:
    """Judge whether the printed loss gives the teacher the weight that is printed.

    The gradient of the printed teacher's term is held against that of the same term with the
    divergence taken as a mean over images: by that factor its weight is another one.
    """
    assert claim.value is not None
    study = evidence.studies[STUDY]
    if not is_current(study):
        return Finding("open", "the study holds other losses than today's arms", "")
    printed, meant = claim.numbers["printed"], claim.numbers["meant"]
    low, high = (claim.value + s * claim.precision for s in (-1, 1))
    ratios, details = [], []
    for student, arms in study["students"].items():
        for place in ("logits", "weights"):
            factor = arms[printed][place]["teacher"] / arms[meant][place]["teacher"]
            ratios.append(claim.numbers["ratio"] * factor)
        told = ", ".join(f"{a} {100 * share_of(study, student, a, 'weights'):.0f} %" for a in arms)
        details.append(f"{student}, the teacher's share of the gradient on the weights: {told}")
    ours = f"{_span(ratios)} : 1 in place of {claim.value:g} : 1"
    verdict: Verdict
    if all(low <= ratio <= high for ratio in ratios):
        verdict, reason = "reproduced", "the teacher's term weighs what is printed"
    elif any(low <= ratio <= high for ratio in ratios):
        verdict, reason = "open", "it weighs what is printed for some students and not for others"
    else:
        less = [claim.numbers["ratio"] / ratio for ratio in ratios]
        verdict = "corrected"
        reason = (
            f"with {study['classes']} classes the teacher's term is {_span(less)} times too small: "
            "the default mean divides by the classes as well"
        )
    return Finding(verdict, reason, ours, details=tuple(details))


def _span(numbers: list[float]) -> str:
    """Return what the numbers are, or from where to where they go, to three digits."""
    ends = [f"{end:.3g}" for end in (min(numbers), max(numbers))]
    return " to ".join(dict.fromkeys(ends))


def c15(claim: Claim, evidence: Evidence) -> Finding:
    """Judge both halves of "loses only so many points with so many fewer parameters"."""
    assert claim.value is not None
    teacher, alone, student = claim.recipes
    parameters = evidence.parameters
    fewer = 100 * (1 - parameters[student] / parameters[teacher])
    right_size = abs(fewer - claim.value) <= claim.precision
    lost = claim.numbers["points"] + claim.numbers["points_precision"]
    difference = evidence.difference(teacher, student)
    [side] = sides([difference], -lost / 100)
    words: dict[Side, str] = {
        "above": f"it loses no more than {claim.numbers['points']:g} points",
        "below": f"it loses more than {claim.numbers['points']:g} points",
        "unclear": f"whether it loses more than {claim.numbers['points']:g} points is unclear",
    }
    verdict: Verdict = "open"
    if not right_size or side == "below":
        verdict = "corrected"
    elif side == "above":
        verdict = "reproduced"
    size = "as claimed" if right_size else f"not {claim.value:g}"
    reason = (
        f"{fewer:.1f} % fewer parameters, {size}; {words[side]}; without a teacher the same "
        f"student is at {points(evidence.difference(teacher, alone))} against ResNet-18"
    )
    ours = f"{points(difference)}, −{fewer:.1f} % parameters"
    return Finding(verdict, reason, ours, difference, _details(claim, evidence))


def _details(claim: Claim, evidence: Evidence) -> tuple[str, ...]:
    """Return sizes of other widths, and what a teacher brings to students of either width."""
    teacher, alone, student = claim.recipes
    lines = []
    counts = evidence.studies.get("parameter_counts", {}).get("models", {})
    for name in claim.numbers["sizes"]:
        if name in counts:
            fewer = 100 * (1 - counts[name] / evidence.parameters[teacher])
            lines.append(f"{name}: {counts[name]:,} parameters, {fewer:.1f} % fewer")
    lines += compare_pairs(evidence, [(alone, student)])[1]
    base, *arms = claim.also
    if all(len(evidence.predictions.get(r, {})) >= ARM_SEEDS for r in claim.also):
        lines += compare(evidence, base, arms)[1]
    else:  # p-values would be corrected for the arms that happen to be there
        for arm in (a for a in arms if base in evidence and a in evidence):
            lines.append(f"{arm} against {base}: {points(evidence.difference(base, arm))}")
    return tuple(lines)
