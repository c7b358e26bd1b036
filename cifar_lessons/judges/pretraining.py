"""Judge of chapter 13: what pre-training without labels is worth where labels are few."""

from collections.abc import Sequence

import numpy as np

from cifar_lessons.evaluation.metrics import Estimate, Predictions, paired_difference
from cifar_lessons.pretraining.results import STUDY, is_current, probes_of, spelled
from cifar_lessons.verdicts import Claim, Evidence, Finding, Verdict, points


def c16(claim: Claim, evidence: Evidence) -> Finding:
    """Judge "+5 with limited labels" at each of the shares that it may mean.

    The article names no share, so each that counts as limited gets its chance; all labels are
    shown beside them. To correct it all shares must speak, and in one direction: a gain that is
    too large at one share and too small at another is right somewhere in between.
    """
    assert claim.value is not None
    low, high = ((claim.value + s * claim.precision) / 100 for s in (-1, 1))
    room = claim.numbers["resolution"] / 100  # how far an interval may reach from the number
    pairs: dict[str, list[str]] = claim.numbers["pairs"]
    limited: list[str] = claim.numbers["limited"]
    gains = {share: evidence.difference(*pair) for share, pair in pairs.items()}
    middle = claim.value / 100
    near = [
        s
        for s in limited
        if low <= gains[s].mean <= high
        and middle - room <= gains[s].low
        and gains[s].high <= middle + room
    ]
    where = [_beyond(gains[s], low, high) for s in limited]
    verdict: Verdict = "open"
    if near:
        verdict = "reproduced"
        reason = f"the gain at {_list(near)} of the labels is {claim.value:g} points, give or take"
    elif where[0] and len(set(where)) == 1:
        verdict = "corrected"
        word = "more" if where[0] > 0 else "less"
        reason = f"at {_list(limited)} alike the gain is clearly {word} than {claim.value:g} points"
    elif all(where):
        reason = (
            f"clearly more at one share and less at another: between them it is {claim.value:g}"
        )
    else:
        unclear = [s for s, side in zip(limited, where, strict=True) if not side]
        narrow = [s for s in unclear if gains[s].half_width <= room]
        if narrow:
            edge = f"{100 * low:g} to {100 * high:g}"
            reason = f"the interval at {_list(narrow)} reaches over an edge of {edge} points"
        else:
            reason = f"the interval at {_list(unclear)} is too wide to tell"
    reason += "; without the share of labels the number says little"
    ours = "; ".join(f"{_share(share)}: {points(gain)}" for share, gain in gains.items())
    details = _details(claim, evidence, gains)
    return Finding(verdict, reason, ours, gains[limited[0]], details)


def _beyond(gain: Estimate, low: float, high: float) -> int:
    """Return 1 if the whole interval lies above a band, -1 if below, and 0 if it meets it."""
    return int(gain.low > high) - int(gain.high < low)


def _as_two(predictions: Predictions) -> Predictions:
    """Return which answers are right, as `results.unpack` does."""
    right = predictions.correct
    scores = np.stack([right, ~right], axis=1).astype(np.float32)
    return Predictions(scores, np.zeros(len(right), np.int64))


def _share(text: str) -> str:
    return spelled(float(text))


def _list(shares: Sequence[str]) -> str:
    return " and ".join(map(_share, shares))


def _details(claim: Claim, evidence: Evidence, gains: dict[str, Estimate]) -> tuple[str, ...]:
    """Return what became of the prediction, and what else is recorded beside it."""
    lines = []
    for told in claim.numbers["predicted"]:
        mean = round(100 * gains[told["share"]].mean, 1)
        word = "inside" if told["low"] <= mean <= told["high"] else "outside"
        ends = f"{told['low']:+g} to {told['high']:+g}"
        if told["low"] < -90:
            ends = f"at most {told['high']:g}"
        lines.append(f"{_share(told['share'])}: {word} the predicted {ends}".replace("-", "−"))
    for share, (base, *others) in claim.numbers["beside"].items():
        for other in (o for o in others if o in evidence and base in evidence):
            gap = points(evidence.difference(base, other))
            lines.append(f"{_share(share)}, {other} against {base}: {gap}")
    lines += _longer(claim, evidence)
    lines += _frozen(claim, evidence)
    return tuple(lines)


def _longer(claim: Claim, evidence: Evidence) -> list[str]:
    """Return whether the compute of pre-training, spent on labels, would have done as much."""
    control, tuned = claim.numbers["control"]
    if control not in evidence or tuned not in evidence:
        return []
    gap = points(evidence.difference(control, tuned))
    return [f"{tuned} against {control}, from scratch with the compute of pre-training too: {gap}"]


def _frozen(claim: Claim, evidence: Evidence) -> list[str]:
    """Return linear probes against training from scratch on the same draws of labels."""
    study = evidence.studies.get(STUDY)
    if study is None or not is_current(study):
        return []
    lines = []
    for network, probes in probes_of(study).items():
        for share, (base, _) in claim.numbers["pairs"].items():
            right = {p.draw: p.right for p in probes if p.share == float(share)}
            scratch = evidence.predictions.get(base, {})
            shared = sorted(right.keys() & scratch.keys())
            if not shared:
                continue
            made = [_as_two(scratch[s]) for s in shared]
            gap = paired_difference(made, [right[s] for s in shared])
            lines.append(
                f"{_share(share)}, linear on frozen {network} against {base}: {points(gap)}"
            )
    return lines
