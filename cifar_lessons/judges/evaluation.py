"""Judge of chapter 8: a gap between classes, which is another one for every network."""

from dataclasses import replace

from cifar_lessons.evaluation.contrasts import class_intervals, contrast, gap_weights
from cifar_lessons.evaluation.metrics import Estimate, Predictions
from cifar_lessons.verdicts import Claim, Evidence, Finding, Verdict, equals, points, sides


def c12(claim: Claim, evidence: Evidence) -> Finding:
    """Judge whether one number can stand for the article's networks, and whether it is the one."""
    assert claim.value is not None
    better, *worse = claim.numbers["classes"].values()
    weights = gap_weights(better, worse)
    names = [r for r in (*claim.recipes, *claim.also) if r in evidence]
    found = {r: list(evidence.predictions[r].values()) for r in names}
    gaps = {r: contrast(runs, weights) for r, runs in found.items()}
    weak, strong = claim.recipes
    shared = sorted(evidence.predictions[weak].keys() & evidence.predictions[strong].keys())
    change = contrast(
        [evidence.predictions[weak][seed] for seed in shared],
        weights,
        minus=[evidence.predictions[strong][seed] for seed in shared],
    )
    share = {r: evidence.mean(r).mean for r in names}
    by_accuracy = sorted(names, key=lambda r: share[r])
    details = [
        f"{weak}'s gap minus {strong}'s, on the same images: {points(change)}",
        *(f"{r}, {100 * share[r]:.1f} % accurate: {points(gaps[r])}" for r in by_accuracy),
        *(_classes(claim, r, evidence.predictions[r][0]) for r in claim.recipes),
    ]
    ours = "; ".join(
        f"{r} {_gap(gaps[r])} at {100 * share[r]:.1f} %" for r in (strong, weak)
    )  # the article's best network first
    room = 2 * claim.precision
    [side] = sides([replace(change, mean=abs(change.mean))], room / 100)
    verdict: Verdict
    verdict, fits = equals(claim, gaps[strong])
    band = f"{claim.value - claim.precision:g} to {claim.value + claim.precision:g}"
    fits = {
        "corrected": f"{strong}'s interval lies outside {band}",
        "reproduced": f"{strong}'s interval meets {band}",
    }.get(verdict, f"{strong}'s interval meets {band}, and is too wide to confirm them")
    if side != "above":
        return Finding(verdict, fits, ours, gaps[strong], tuple(details))
    paired = f"the {f'{len(shared)} seeds' if len(shared) > 1 else 'one seed'} that both have"
    reason = (
        f"one number can't stand for both of the article's networks, whose gaps differ by "
        f"{abs(100 * change.mean):.1f} points on {paired}; {fits}"
    )
    return Finding("corrected", reason, ours, gaps[strong], tuple(details))


def _gap(e: Estimate) -> str:
    return f"{100 * e.mean:.1f} points ({100 * e.low:.1f} to {100 * e.high:.1f}), n = {e.n},"


def _classes(claim: Claim, recipe: str, run: Predictions) -> str:
    """Return the accuracy of each class that the claim names, of one network."""
    values, ends = class_intervals(run)
    shown = [
        f"{name} {100 * values[k]:.1f} % ({100 * ends[k][0]:.1f} to {100 * ends[k][1]:.1f})"
        for name, k in claim.numbers["classes"].items()
    ]
    return f"{recipe} seed 0, with Wilson's intervals: {', '.join(shown)}"
