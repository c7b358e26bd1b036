"""Judges of chapter 12: how long one picture takes, and what another engine gains.

TensorRT needs an NVIDIA GPU. What a CPU can say is measured, what it cannot is cited and called so.
A recorded `bench latency --device cuda` turns the first claim into a measurement.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cifar_lessons.verdicts import Claim, Evidence, Finding, Verdict

STUDY = "bench_latency"
CUDA_STUDY = "bench_latency_cuda"
NAMES = {
    "eager": "eager fp32",
    "eager_bf16": "eager bf16",
    "ort": "ONNX Runtime fp32",
    "ort_int8": "ONNX Runtime int8",
    "eager_cuda": "eager fp32",
    "ort_cuda": "ONNX Runtime fp32",
    "tensorrt_fp16": "TensorRT fp16",
    "tensorrt_int8": "TensorRT int8",
}
ROUNDING = 0.5  # half a unit of "3 to 5 times"


def c13(claim: Claim, evidence: Evidence) -> Finding:
    """Judge 12 ms and 3 ms, which are of two devices; the second needs an NVIDIA GPU."""
    assert claim.value is not None
    study = evidence.studies.get(CUDA_STUDY, evidence.studies[STUDY])
    model = claim.numbers["model"]
    details = [*_details(study, model), *_cited(claim)]
    cell = _cells(study, batch=1, threads=1).get(model)
    if cell is None:
        reason = f"the study holds no {model} with one image and one thread"
        return Finding("open", reason, "", details=tuple(details))
    ours = ", ".join(f"{NAMES[way]} {_ms(times)}" for way, times in cell["ways"].items())
    if study["device_type"] != "cuda":
        reason = (
            "TensorRT needs an NVIDIA GPU, and there is none here. The article's two numbers are "
            "of two devices, so their ratio says nothing about TensorRT; it names neither of them. "
            "What one core of this CPU takes is shown beside it"
        )
        if "ort_int8" in cell["ways"]:
            reason += (
                f": from eager PyTorch to int8 it is {_times(cell, 'ort_int8')} as fast on the "
                "same core"
            )
        return Finding("not measurable here", reason, ours, details=tuple(details))
    way = "tensorrt_fp16"
    low, high = (claim.value + s * claim.precision for s in (-1, 1))
    inside = low <= cell["ratios"][way]["ratio"] <= high
    verdict: Verdict = "reproduced" if inside else "corrected"
    reason = (
        f"on {study['device']} TensorRT in fp16 is {_times(cell, way)} as fast as eager PyTorch, "
        f"{'' if inside else 'not '}the article's ratio"
    )
    return Finding(verdict, reason, ours, details=tuple(details))


def c20(claim: Claim, evidence: Evidence) -> Finding:
    """Judge the gain of ONNX Runtime over eager PyTorch, in fp32 on one core, on four networks."""
    assert claim.value is not None
    study = evidence.studies[STUDY]
    details = [*_details(study), *_cited(claim)]
    cells = _cells(study, batch=1, threads=1)
    if missing := [m for m in claim.numbers["models"] if m not in cells]:
        reason = f"the study holds no {', '.join(missing)} with one image and one thread"
        return Finding("open", reason, "", details=tuple(details))
    chosen = {model: cells[model] for model in claim.numbers["models"]}
    gains = {model: cell["ratios"]["ort"] for model, cell in chosen.items()}
    low, high = (claim.value + s * (claim.precision + ROUNDING) for s in (-1, 1))
    outside = [m for m, gain in gains.items() if gain["high"] < low or gain["low"] > high]
    inside = [m for m, gain in gains.items() if low <= gain["ratio"] <= high]
    smallest, largest = (f([g["ratio"] for g in gains.values()]) for f in (min, max))
    ours = f"ONNX Runtime fp32 {smallest:.1f}x to {largest:.1f}x"
    verdict: Verdict
    if outside:
        verdict = "corrected"
        reason = (
            f"it depends on the network: outside {low:g} to {high:g} times for "
            f"{', '.join(outside)}" + (f", inside for {', '.join(inside)}" if inside else "")
        )
    elif len(inside) == len(gains):
        verdict, reason = "reproduced", f"all networks lie within {low:g} to {high:g} times"
    else:
        near = ", ".join(m for m in gains if m not in inside)
        verdict, reason = "open", f"the rounds of {near} lie on both sides of {low:g} or {high:g}"
    small = {m: c["ratios"].get("ort_int8") for m, c in chosen.items()}
    if all(small.values()):
        ends = [f([g["ratio"] for g in small.values() if g]) for f in (min, max)]
        ours += f", int8 {ends[0]:.1f}x to {ends[1]:.1f}x"
    return Finding(verdict, f"{reason}; TensorRT is not measured", ours, details=tuple(details))


def _cells(study: Mapping[str, Any], *, batch: int, threads: int) -> dict[str, Mapping[str, Any]]:
    """Return the entries of that batch and number of threads, by network."""
    return {
        cell["model"]: cell
        for cell in study["cells"]
        if (cell["batch"], cell["threads"]) == (batch, threads)
    }


def _ms(times: Mapping[str, float]) -> str:
    number = 1000 * times["p50"]
    return f"{number:.3g} ms" if number < 1000 else f"{number:,.0f} ms"


def _times(cell: Mapping[str, Any], way: str) -> str:
    found = cell["ratios"][way]
    return f"{found['ratio']:.2f} times ({found['low']:.2f} to {found['high']:.2f} over the rounds)"


def _details(study: Mapping[str, Any], model: str = "") -> list[str]:
    """Return a line for each entry, with accuracies beside: of one network, or of all."""
    lines = []
    for cell in study["cells"]:
        if model and cell["model"] != model:
            continue
        base, *others = cell["ways"]
        scores = study["models"][cell["model"]]["scores"]
        parts = []
        for way in others:
            lost = scores.get(way)
            points = f", {100 * lost['change']:+.2f} points" if lost else ", accuracy unknown"
            parts.append(f"{NAMES[way]} {_times(cell, way)}{points.replace('-', '−')}")
        plural = "s" * (cell["threads"] != 1)
        lines.append(
            f"{cell['model']}, batch {cell['batch']}, {cell['threads']} thread{plural}: "
            f"{NAMES[base]} {_ms(cell['ways'][base])}; {'; '.join(parts)}"
        )
    return lines


def _cited(claim: Claim) -> Sequence[str]:
    return [f"cited: {text}" for text in claim.numbers["cited"]]
