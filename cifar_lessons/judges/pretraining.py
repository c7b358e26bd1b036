"""Judge of chapter 13: what pre-training without labels is worth where labels are few."""

from collections.abc import Sequence

import numpy as np

from cifar_lessons.evaluation.metrics import Estimate, Predictions, holm, paired_difference
from cifar_lessons.pretraining.results import STUDY, is_current, probes_of, spelled
from cifar_lessons.verdicts import ALPHA, Claim, Evidence, Finding, Verdict, points


def c16(claim: Claim, evidence: Evidence) -> Finding:
    """Judge "+5 with limited labels" at each of the shares that it may mean.

    The article names no share, so each that counts as limited gets its chance; all labels are
    shown beside them.
    """
    assert claim.value is not None
    band = [(claim.value + s * claim.precision) / 100 for s in (-1, 1)]
    pairs: dict[str, list[str]] = claim.numbers["pairs"]
    limited: list[str] = claim.numbers["limited"]
    gains = {share: evidence.difference(*pair) for share, pair in pairs.items()}
    p_values = holm([_p_outside(gains[share], band) for share in limited])
    inside = [share for share, p in zip(limited, p_values, strict=True) if p >= ALPHA]
    sharp = [s for s in inside if 100 * gains[s].half_width <= claim.numbers["resolution"]]
    verdict: Verdict
    if not inside:
        verdict = "corrected"
        reason = f"at neither {_list(limited)} is the gain {claim.value:g} points"
    elif not sharp:
        verdict, reason = "open", f"the interval at {_list(inside)} is too wide to tell"
    else:
        verdict = "reproduced"
        reason = f"the interval at {_list(sharp)} of the labels holds {claim.value:g} points"
    reason += "; without the share of labels the number says little"
    ours = "; ".join(f"{_share(share)}: {points(gain)}" for share, gain in gains.items())
    details = _details(claim, evidence, gains)
    return Finding(verdict, reason, ours, gains[limited[0]], details)


def _p_outside(gain: Estimate, band: Sequence[float]) -> float:
    """Return how likely so large a distance to the band is, if the true gain lies in it."""
    low, high = band
    if low <= gain.mean <= high:
        return 1.0
    return gain.p_value(low if gain.mean < low else high)


def _as_two(predictions: Predictions) -> Predictions:
    """Return which answers are right, as `results.unpack` does."""
    right = predictions.correct
    scores = np.stack([right, ~right], axis=1).astype(np.float32)
    return Predictions(scores, np.zeros(len(right), np.int64))


def _share(text: str) -> str:
    return spelled(float(text))


def _list(shares: Sequence[str]) -> str:
    return " nor ".join(map(_share, shares)) if len(shares) > 1 else _share(shares[0])


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
