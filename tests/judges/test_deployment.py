"""Mirrors cifar_lessons/judges/deployment.py: every judge can end each way that it says."""

import pytest

from cifar_lessons.verdicts import Evidence

MODELS = ("simple_cnn", "resnet18", "mobilenet_v2", "resnet18_w16")


def cell(model: str, *, batch: int = 1, **gains: float) -> dict:
    base = "eager_cuda" if "tensorrt_fp16" in gains else "eager"
    gains = {base: 1.0, **gains}
    return {
        "model": model,
        "batch": batch,
        "threads": 1,
        "ways": {way: {"p50": 0.02 / gain} for way, gain in gains.items()},
        "ratios": {w: {"ratio": g, "low": g - 0.1, "high": g + 0.1} for w, g in gains.items()},
    }


def found(*cells: dict, device: str = "cpu", known: bool = True) -> Evidence:
    score = {"accuracy": 0.9, "change": -0.001}
    models = {
        c["model"]: {"scores": dict.fromkeys(c["ways"], score) if known else {}} for c in cells
    }
    study = {
        "device_type": device,
        "device": "A device",
        "models": models,
        "cells": list(cells),
    }
    cpu = {"device_type": "cpu", "device": "A CPU", "models": {}, "cells": []}
    studies = {"bench_latency": study} if device == "cpu" else {
        "bench_latency": cpu, "bench_latency_cuda": study
    }  # fmt: skip
    return Evidence(studies=studies)


def test_c13_cannot_be_measured_on_a_cpu_and_shows_what_can(judge):
    cells = cell("resnet18", ort=1.6, ort_int8=5.0), cell("simple_cnn", ort=2.0, ort_int8=3.0)
    verdict = judge("C13", found(*cells))
    assert verdict.verdict == "not measurable here"
    assert verdict.ours == ("eager fp32 20 ms, ONNX Runtime fp32 12.5 ms, ONNX Runtime int8 4 ms")
    assert "from eager PyTorch to int8 it is 5.00 times (4.90 to 5.10" in verdict.reason
    assert verdict.details[0] == (
        "resnet18, batch 1, 1 thread: eager fp32 20 ms; ONNX Runtime fp32 1.60 times (1.50 to "
        "1.70 over the rounds), −0.10 points; ONNX Runtime int8 5.00 times (4.90 to 5.10 over the "
        "rounds), −0.10 points"
    )
    assert len(verdict.details) == 2  # no other network's
    assert verdict.details[-1].startswith("cited: ")


def test_long_calls_are_shown_in_whole_milliseconds(judge):
    slow = cell("resnet18", ort=1.6)
    slow["ways"]["eager"]["p50"] = 1.2345
    assert judge("C13", found(slow)).ours.startswith("eager fp32 1,234 ms, ")


@pytest.mark.parametrize(
    ("gain", "expected"), [(3.4, "corrected"), (3.6, "reproduced"), (4.6, "corrected")]
)
def test_c13_is_judged_on_a_cuda_device(judge, gain, expected):
    cells = cell("resnet18", ort_cuda=1.0, tensorrt_fp16=gain, tensorrt_int8=9.0)
    verdict = judge("C13", found(cells, device="cuda"))
    assert verdict.verdict == expected
    assert verdict.reason.startswith(f"on A device TensorRT in fp16 is {gain:.2f} times")


def test_c13_is_open_without_its_cell(judge):
    verdict = judge("C13", found(cell("resnet18", batch=64, ort=1.6)))
    assert (verdict.verdict, verdict.reason) == (
        "open", "the study holds no resnet18 with one image and one thread"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gains", "expected", "words"),
    [
        ((3.0, 3.5, 4.0, 5.0), "reproduced", "all networks lie within 2.5 to 5.5 times"),
        ((3.0, 1.7, 3.5, 4.0), "corrected", "outside 2.5 to 5.5 times for resnet18, inside for"),
        ((7.0, 1.7, 6.5, 9.0), "corrected", "resnet18_w16; TensorRT is not measured"),
        ((3.0, 2.45, 3.5, 4.0), "open", "the rounds of resnet18 lie on both sides of 2.5 or 5.5"),
    ],
)
def test_c20_asks_all_four_networks(judge, gains, expected, words):
    cells = [cell(m, ort=g, ort_int8=2 * g) for m, g in zip(MODELS, gains, strict=True)]
    verdict = judge("C20", found(*cells))
    assert verdict.verdict == expected
    assert words in verdict.reason
    assert verdict.ours.startswith(
        f"ONNX Runtime fp32 {min(gains):.1f}x to {max(gains):.1f}x, int8"
    )


def test_c20_is_open_without_a_network(judge):
    verdict = judge("C20", found(*(cell(m, ort=3.0) for m in MODELS[:3])))
    assert (verdict.verdict, verdict.reason) == (
        "open", "the study holds no resnet18_w16 with one image and one thread"
    )  # fmt: skip


def test_unknown_accuracy_is_said(judge):
    cells = [cell(m, ort=3.0) for m in MODELS]
    verdict = judge("C20", found(*cells, known=False))
    assert "accuracy unknown" in verdict.details[0]
    assert verdict.ours == "ONNX Runtime fp32 3.0x to 3.0x"
