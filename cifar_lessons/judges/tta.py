"""Judge of chapter 10: what several looks at a test image gain."""

from collections.abc import Mapping, Sequence
from typing import Any

from cifar_lessons.evaluation.metrics import Estimate, holm
from cifar_lessons.tta.results import SETS, Network, is_current, networks
from cifar_lessons.verdicts import ALPHA, Claim, Evidence, Finding, Verdict, points


def c18(claim: Claim, evidence: Evidence) -> Finding:
    """Judge the gain of the article's five transforms on the network that it recommends.

    It names no network and only two of the five, so each reading of the five gets its chance.
    """
    assert claim.value is not None
    study = evidence.studies["tta"]
    if not is_current(study):
        return Finding("open", "the study holds other sets of views than today's", "")
    nets = networks(study)
    main, readings = claim.numbers["network"], claim.numbers["readings"]
    details = [line for net in nets.values() for line in _details(net, claim)]
    if main not in nets:
        return Finding("open", f"the study holds no {main}", "", details=tuple(details))
    band = [(claim.value + s * claim.precision) / 100 for s in (-1, 1)]
    gains = [_gain(nets[main], name, claim) for name in readings]
    p_values = holm([_p_outside(gain, band) for gain in gains])
    inside = [gain for gain, p in zip(gains, p_values, strict=True) if p >= ALPHA]
    verdict: Verdict
    if not inside:
        verdict = "corrected"
        reason = f"on {main} no reading of the five transforms gains {claim.value:g} points"
        if others := _elsewhere(nets, claim, band):
            reason += f"; the interval of these holds it: {', '.join(others)}"
    elif min(100 * gain.half_width for gain in inside) > claim.numbers["resolution"]:
        verdict, reason = "open", "the interval is too wide to tell"
    else:
        verdict, reason = "reproduced", f"the interval of {main} holds {claim.value:g} points"
    shown = "; ".join(
        f"{name} on {main}: {points(gain)}" for name, gain in zip(readings, gains, strict=True)
    )
    return Finding(verdict, reason, shown, gains[0], tuple(details))


def _gain(net: Network, name: str, claim: Claim) -> Estimate:
    return net.test.cells[name][claim.numbers["merge"]].gain


def _p_outside(gain: Estimate, band: Sequence[float]) -> float:
    """Return how likely so large a distance to the band is, if the true gain lies in it."""
    low, high = band
    if low <= gain.mean <= high:
        return 1.0
    return gain.p_value(low if gain.mean < low else high)


def _elsewhere(nets: Mapping[str, Network], claim: Claim, band: Sequence[float]) -> list[str]:
    """Return where else a reading's interval meets the band."""
    low, high = band
    found = []
    for net in nets.values():
        for name in claim.numbers["readings"]:
            gain = _gain(net, name, claim)
            if net.name != claim.numbers["network"] and gain.low <= high and gain.high >= low:
                found.append(f"{name} on {net.name}")
    return found


def _details(net: Network, claim: Claim) -> list[str]:
    """Return the readings, the predictions and the extremes of a network, a line each."""
    names = [*claim.numbers["readings"], "flip", "flip_shift"]
    lines = []
    for name in names:
        cell = net.test.cells[name][claim.numbers["merge"]]
        lines.append(
            f"{net.name} ({100 * net.accuracy:.2f} %), {name}: {points(cell.gain)}; "
            f"{cell.corrected} corrected, {cell.broken} broken, p = {cell.p_value:.2g}"
            f"{_outcome(net.name, name, cell.gain, claim)}"
        )
    gains = {name: _gain(net, name, claim) for name in SETS}
    worst = min(gains, key=lambda name: gains[name].mean)
    lines.append(f"{net.name}, the worst of all sets, {worst}: {points(gains[worst])}")
    if net.learned:
        lines.append(
            f"{net.name}, weights learned on validation, {net.learned.passes} passes: "
            f"{points(net.learned.gain)}"
        )
    return lines


def _outcome(network: str, name: str, gain: Estimate, claim: Claim) -> str:
    """Return what became of the prediction for this network and set, if there is one."""
    told: Sequence[Mapping[str, Any]] = claim.numbers["predicted"]
    for p in told:
        if (p["network"], p["set"]) == (network, name):
            word = "inside" if p["low"] <= round(100 * gain.mean, 2) <= p["high"] else "outside"
            return f"; {word} the predicted {p['low']:+g} to {p['high']:+g}"
    return ""
