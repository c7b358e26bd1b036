"""Mirrors cifar_lessons/judges/precision.py: every judge can end each way that it says."""

import pytest

from cifar_lessons.verdicts import Evidence

PARITY = ("simple_cnn_fp32", "simple_cnn", "resnet18_w16_fp32", "resnet18_w16")


def cell(model: str, fp32: float, gain: float, saving: float, low: str = "bf16") -> dict:
    memory = {
        "fp32": {"saved": 1000, "weight_copies": 0, "before": 100, "peak": 1100},
        low: {"saved": 400, "weight_copies": 100, "before": 200, "peak": 1200 - 1000 * saving},
    }
    return {
        "model": model,
        "batch": 128,
        "rates": {"fp32": [fp32, 2 * fp32, 0.5 * fp32], low: [gain * fp32] * 3},
        "speedup": {low: {"ratio": gain, "low": gain - 0.1, "high": gain + 0.1}},
        "memory": memory,
    }


def study(*cells: dict, device_type: str = "cpu", low: str = "bf16") -> dict:
    found = {
        "device_type": device_type,
        "device": "A device",
        "cores": 2,
        "precisions": ["fp32", low],
        "cells": list(cells),
    }
    return {"bench_precision": found}


def test_c11_cannot_be_measured_on_a_cpu_and_shows_what_can(judge, evidence):
    cells = cell("resnet18", 48, 2.1, 0.35), cell("mobilenet_v2", 80, 1.1, 0.2)
    found = judge("C11", evidence(dict.fromkeys(PARITY, 0.8), 3, studies=study(*cells)))
    assert found.verdict == "not measurable here"
    assert "no CUDA device here" in found.reason
    assert found.ours == "CPU, bf16: 2.10x, −35 % memory"
    assert found.details[:2] == (
        "resnet18, batch 128, bf16 against fp32: 2.10x (2.00 to 2.20 over the rounds), predicted "
        "2.1x; kept for backward −50 %, peak memory −35 %",
        "mobilenet_v2, batch 128, bf16 against fp32: 1.10x (1.00 to 1.20 over the rounds), "
        "predicted 1.1x; kept for backward −50 %, peak memory −20 %",
    )
    assert found.details[2].startswith("simple_cnn against simple_cnn_fp32: ")
    assert len(found.details) == 4


def test_c11_needs_no_pair_to_be_recorded(judge):
    found = judge("C11", Evidence(studies=study(cell("resnet18", 48, 2.1, 0.35))))
    assert len(found.details) == 1


@pytest.mark.parametrize(
    ("gain", "saving", "verdict", "words"),
    [
        (1.8, 0.3, "reproduced", "the speed is the article's, the memory is the article's"),
        (2.5, 0.3, "corrected", "the speed is not the article's, the memory is the article's"),
        (1.8, 0.5, "corrected", "the speed is the article's, the memory is not the article's"),
    ],
)
def test_c11_is_judged_on_a_cuda_device(judge, gain, saving, verdict, words):
    cells = cell("resnet18", 4000, gain, saving, "fp16")
    found = judge("C11", Evidence(studies=study(cells, device_type="cuda", low="fp16")))
    assert found.verdict == verdict
    assert found.reason == f"on A device, resnet18 at batch 128: {words}"


def test_c11_is_open_without_its_network(judge):
    found = judge("C11", Evidence(studies=study(cell("simple_cnn", 48, 2.1, 0.35))))
    assert (found.verdict, found.reason) == ("open", "the study holds no resnet18 at batch 128")


def test_c19_is_bounded_by_cited_figures(judge):
    found = judge("C19", Evidence(studies=study(cell("resnet18", 50, 2.0, 0.3))))
    assert found.verdict == "corrected"
    # 5,970 x 0.683 / 100 and 23,810 / 100: our rate is that of the faster precision.
    assert found.ours == "41x (cited GTX 1080 Ti) to 238x (cited A100)"
    assert "10 such cores would have to scale perfectly" in found.reason
    assert found.details[0] == "resnet18, 100 images/s (bf16)"
    assert len(found.details) == 5
    assert all(line.startswith("cited: ") for line in found.details[1:])


def test_c19_takes_fp32_where_it_is_faster(judge):
    found = judge("C19", Evidence(studies=study(cell("resnet18", 50, 0.5, 0.3))))
    assert found.details[0] == "resnet18, 50 images/s (fp32)"


@pytest.mark.parametrize(
    ("rate", "verdict", "words"),
    [
        (481, "open", "leave room for 4.5 to 8.5 times"),  # 8.48 to 49.5
        (479, "corrected", "on the cited GTX 1080 Ti as on these"),  # 8.51
        (5_000, "open", "leave room"),  # 0.8 to 4.8
        (5_500, "corrected", "even the A100 that is cited is less than 4.5 times"),  # 4.3
    ],
)
def test_c19_on_faster_cpus(judge, rate, verdict, words):
    found = judge("C19", Evidence(studies=study(cell("resnet18", rate, 1.0, 0.3))))
    assert found.verdict == verdict
    assert words in found.reason


def test_c19_needs_a_study_of_a_cpu_with_its_network(judge):
    cuda = judge("C19", Evidence(studies=study(cell("resnet18", 9, 1, 0.3), device_type="cuda")))
    assert (cuda.verdict, cuda.reason) == ("open", "the study is of A device, which is no CPU")
    other = judge("C19", Evidence(studies=study(cell("simple_cnn", 9, 1, 0.3))))
    assert (other.verdict, other.reason) == ("open", "the study holds no resnet18 at batch 128")
