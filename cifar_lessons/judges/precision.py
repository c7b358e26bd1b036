"""Judges of chapter 5: what 16 bits save, and how far a CPU is behind a GPU.

Both claims name a GPU. What this machine can say is measured; what it cannot is cited, and called
so. A recorded `bench_precision` of a CUDA device turns the first into a measurement.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from cifar_lessons.verdicts import Claim, Evidence, Finding, Verdict, compare_pairs

Cell = Mapping[str, Any]  # an entry of `bench_precision`: a network at a batch size
ROUNDING = 0.5  # half a unit of "5 to 8 times"


def c11(claim: Claim, evidence: Evidence) -> Finding:
    """Judge memory and speed of mixed precision, which is possible on a CUDA device alone."""
    study = evidence.studies["bench_precision"]
    low = "fp16" if "fp16" in study["precisions"] else "bf16"
    batch = claim.numbers["batch"]
    cells = {c["model"]: c for c in study["cells"] if c["batch"] == batch}
    chosen = cells.get(claim.numbers["model"])
    details = [_mixed(cell, low, claim.numbers["predicted"]) for cell in cells.values()]
    details += _parity(claim, evidence)
    if chosen is None:
        reason = f"the study holds no {claim.numbers['model']} at batch {batch}"
        return Finding("open", reason, "", details=tuple(details))
    gain, less = chosen["speedup"][low], -100 * memory_change(chosen, low)
    ours = (
        f"{study['device_type'].upper()}, {low}: {gain['ratio']:.2f}x, "
        f"{-less:+.0f} % memory".replace("-", "−")
    )
    if study["device_type"] != "cuda":
        reason = (
            "no CUDA device here. A V100 has units of its own for fp16 and a CPU has none, so a "
            "CPU's gain says nothing about a V100's; the article names neither network nor "
            "batch. What bf16 gives on this CPU is shown beside it"
        )
        return Finding("not measurable here", reason, ours, details=tuple(details))
    assert claim.value is not None
    right_speed = abs(gain["ratio"] - claim.value) <= claim.precision
    right_memory = abs(less - claim.numbers["memory"]) <= claim.numbers["memory_precision"]
    verdict: Verdict = "reproduced" if right_speed and right_memory else "corrected"
    reason = (
        f"on {study['device']}, {claim.numbers['model']} at batch {batch}: the speed is "
        f"{'' if right_speed else 'not '}the article's, the memory is "
        f"{'' if right_memory else 'not '}the article's"
    )
    return Finding(verdict, reason, ours, details=tuple(details))


def memory_change(cell: Cell, precision: str) -> float:
    """Return by which share a precision changes the peak that training needs; below 0 is less."""
    peak = {p: m["peak"] - m["before"] for p, m in cell["memory"].items()}
    return float(peak[precision] / peak["fp32"] - 1)


def kept_change(cell: Cell, precision: str) -> float:
    """Return by which share a precision changes the bytes kept for backward."""
    kept = {p: m["saved"] + m["weight_copies"] for p, m in cell["memory"].items()}
    return float(kept[precision] / kept["fp32"] - 1)


def _mixed(cell: Cell, precision: str, predicted: Mapping[str, float]) -> str:
    gain = cell["speedup"][precision]
    told = predicted.get(cell["model"])
    text = (
        f"{cell['model']}, batch {cell['batch']}, {precision} against fp32: {gain['ratio']:.2f}x "
        f"({gain['low']:.2f} to {gain['high']:.2f} over the rounds)"
        f"{f', predicted {told:g}x' if told else ''}; kept for backward "
        f"{100 * kept_change(cell, precision):+.0f} %, peak memory "
        f"{100 * memory_change(cell, precision):+.0f} %"
    )
    return text.replace("-", "−")


def _parity(claim: Claim, evidence: Evidence) -> list[str]:
    """Return the difference in accuracy of each pair of recipes that is recorded."""
    pairs = [(a, b) for a, b in claim.numbers["parity"] if a in evidence and b in evidence]
    return compare_pairs(evidence, pairs)[1] if pairs else []


def c19(claim: Claim, evidence: Evidence) -> Finding:
    """Judge how many times as long this CPU takes, by cited GPUs on either side of the one named.

    A GPU that is slower than it gives a lower bound, a faster one an upper bound.
    """
    study = evidence.studies["bench_precision"]
    if study["device_type"] != "cpu":
        return Finding("open", f"the study is of {study['device']}, which is no CPU", "")
    batch = claim.numbers["batch"]
    rates = {c["model"]: _best(c) for c in study["cells"] if c["batch"] == batch}
    details = [f"{m}, {rate:,.0f} images/s ({p})" for m, (rate, p) in rates.items()]
    model = claim.numbers["model"]
    cited: Sequence[Mapping[str, Any]] = claim.numbers["cited"]
    details += [f"cited: {c['gpu']}, {c['says']} ({c['source']})" for c in cited]
    details += [
        f"cited: {p['gpu']} against {p['cpu']}, {p['says']} ({p['source']})"
        for p in claim.numbers["pairs"]
    ]
    if model not in rates:
        reason = f"the study holds no {model} at batch {batch}"
        return Finding("open", reason, "", details=tuple(details))
    ours = rates[model][0]
    times = {c["gpu"]: c["images_per_second"] * c["work"] / ours for c in cited}
    slower = {c["gpu"]: times[c["gpu"]] for c in cited if c["slower"]}
    faster = {c["gpu"]: times[c["gpu"]] for c in cited if not c["slower"]}
    floor_gpu, floor = max(slower.items(), key=lambda item: item[1])
    ceiling_gpu, ceiling = min(faster.items(), key=lambda item: item[1])
    assert claim.value is not None
    low, high = (claim.value + s * (claim.precision + ROUNDING) for s in (-1, 1))
    shown = f"{floor:.0f}x (cited {floor_gpu}) to {ceiling:.0f}x (cited {ceiling_gpu})"
    cores = study["cores"]
    if floor > high:
        reason = (
            f"{model} trains {floor:.0f} times as fast on the cited {floor_gpu} as on these "
            f"{cores} cores, and the {claim.numbers['gpu']} is faster still. To take 8 times as "
            f"long as even the {floor_gpu}, {cores * floor / 8:.0f} such cores would have to "
            "scale perfectly; the article names no CPU"
        )
        return Finding("corrected", reason, shown, details=tuple(details))
    if ceiling < low:
        reason = f"even the {ceiling_gpu} that is cited is less than {low:g} times as fast"
        return Finding("corrected", reason, shown, details=tuple(details))
    reason = f"the GPUs that are cited leave room for {low:g} to {high:g} times on this CPU"
    return Finding("open", reason, shown, details=tuple(details))


def _best(cell: Cell) -> tuple[float, str]:
    """Return the images a second of the faster precision, and which it is."""
    return max((median(rates), precision) for precision, rates in cell["rates"].items())
