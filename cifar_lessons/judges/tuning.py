"""Judge of chapter 6: the advice on batch size, rate and weight decay."""

from collections.abc import Mapping
from statistics import fmean, variance
from typing import Any

from cifar_lessons.evaluation.metrics import Estimate
from cifar_lessons.verdicts import Claim, Evidence, Finding, Verdict, points, sides

SETTINGS = {"batch_size": "batch", "optim.peak_lr": "rate", "optim.weight_decay": "decay"}


def _spelled(settings: Mapping[str, float]) -> str:
    return ", ".join(f"{SETTINGS.get(field, field)} {v:g}" for field, v in settings.items())


def _behind(best: Mapping[str, float], other: Mapping[str, float]) -> Estimate:
    """Return how much better the best settings are, paired over seeds.

    All runs share their validation images and the interval is for these: it covers seeds alone.
    """
    found = [best[seed] - other[seed] for seed in sorted(best.keys() & other.keys())]
    spread = variance(found) / len(found) if len(found) > 1 else 0.0
    return Estimate(fmean(found), len(found), spread, 0.0)


def c21(claim: Claim, evidence: Evidence) -> Finding:
    """Judge whether the advice contains settings as good as those that a search finds."""
    facts = evidence.studies["tuning"]
    best, *advised = facts["repeats"]
    tolerance = claim.numbers["tolerance"]
    behind = [_behind(best["accuracies"], arm["accuracies"]) for arm in advised]
    details = [
        f"best minus {arm['label']} ({_spelled(arm['settings'])}): {points(e)}"
        for arm, e in zip(advised, behind, strict=True)
    ]
    details += _search(facts)
    ours = f"best of {len(_counted(facts))} trials: {_spelled(best['settings'])}"
    if min(e.n for e in behind) < 2:
        return Finding("open", "repeats from two seeds or more are needed", ours, None, (*details,))
    found = dict(
        zip((arm["label"] for arm in advised), sides(behind, tolerance / 100), strict=True)
    )
    holds = [label for label, side in found.items() if side == "below"]
    fails = [label for label, side in found.items() if side == "above"]
    verdict: Verdict
    if holds:
        verdict = "reproduced"
        reason = f"less than {tolerance:g} point below the best: {_list(holds)}"
    elif len(fails) == len(found):
        verdict, reason = "corrected", f"all of it is more than {tolerance:g} point below the best"
    else:
        verdict, reason = "open", f"nothing of it is clearly within {tolerance:g} point of the best"
    if holds and fails:
        reason += f"; but clearly further below: {_list(fails)}"
    return Finding(verdict, reason, ours, min(behind, key=lambda e: e.mean), tuple(details))


def _list(labels: list[str]) -> str:
    return " and ".join(label.removeprefix("advice: ") for label in labels)


def _counted(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [t for t in facts["trials"] if t["state"] != "failed"]


def _search(facts: Mapping[str, Any]) -> list[str]:
    """Return the noise, and where the trials lie that the best can't be told from."""
    best = facts["repeats"][0]
    limit = fmean(best["accuracies"].values()) - 2 * facts["noise"]
    close = [
        t["settings"]
        for t in facts["trials"]
        if t["state"] == "complete" and t["values"][-1] >= limit
    ]
    lines = [
        f"noise: one run differs from the next by a standard deviation of "
        f"{100 * facts['noise']:.2f} points"
    ]
    if close:
        spans = []
        for field, word in SETTINGS.items():
            values = [settings[field] for settings in close]
            spans.append(f"{word} {min(values):g} to {max(values):g}")
        lines.append(
            f"{len(close)} trials reach the best settings' mean less twice that: {', '.join(spans)}"
        )
    return lines
