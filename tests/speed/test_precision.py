"""Mirrors cifar_lessons/speed/precision.py: what is compared with what, never how fast it is."""

import json

import pytest
import torch

from cifar_lessons.config import ModelConfig
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import Runtime
from cifar_lessons.speed import figures, precision, tables
from cifar_lessons.speed.footprint import training_step
from cifar_lessons.speed.precision import BATCHES, MODELS, bench_precision, lower_precisions

CPU = torch.device("cpu")
BF16 = Runtime(device=CPU, precision="bf16")
FP32 = Runtime(device=CPU, precision="fp32")
MEMORY = {"saved": 10, "weight_copies": 1, "before": 5, "peak": 50}


@pytest.fixture
def tiny(monkeypatch):
    """Tiny networks, and memory that is not measured."""
    small = {
        "simple_cnn": ModelConfig(
            name="deep_cnn", options={"widths": [4, 4, 4, 4], "pools": 4, "hidden": 8}
        ),
        "resnet18": ModelConfig(name="resnet18", options={"width": 4}),
    }
    monkeypatch.setattr(precision, "MODELS", small)
    monkeypatch.setattr(precision, "detect", lambda device: BF16)
    asked = []

    def apart(model, batch_size, runtime):
        asked.append((model.name, batch_size, runtime.precision))
        return dict(MEMORY), ""

    monkeypatch.setattr(precision, "measure_apart", apart)
    return asked


def test_all_of_it_as_short_as_it_gets(tiny, capsys):
    result = bench_precision(models=["simple_cnn", "resnet18"], batches=[4, 2], seconds=0.1)
    values = result["values"]
    assert [(c["model"], c["batch"]) for c in values["cells"]] == [
        *(("simple_cnn", 2), ("simple_cnn", 4), ("resnet18", 2), ("resnet18", 4))
    ]
    for cell in values["cells"]:
        assert set(cell["rates"]) == {"fp32", "bf16"}
        assert len(cell["rates"]["fp32"]) == len(cell["rates"]["bf16"]) >= 3
        assert set(cell["speedup"]) == {"bf16"}
        assert cell["memory"] == {"fp32": MEMORY, "bf16": MEMORY}
    assert values["precisions"] == ["fp32", "bf16"]
    assert ("resnet18", 4, "fp32") in tiny
    assert ("resnet18", 4, "bf16") in tiny
    json.dumps(result, allow_nan=False)
    assert "resnet18" in str(tables.speed(result)) + str(tables.memory(result))
    assert figures.speedups(result).axes
    assert figures.footprints(result, batch=4).axes
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "1 of 4: simple_cnn, batch 4"  # the largest first


def test_each_arm_computes_in_the_precision_that_it_is_called(tiny, monkeypatch):
    seen = []

    def watched(model, runtime):
        network, step = training_step(model, runtime)
        network.register_forward_hook(
            lambda _m, _x, out: seen.append((runtime.precision, out.dtype))
        )
        return network, step

    monkeypatch.setattr(precision, "training_step", watched)
    bench_precision(models=["resnet18"], batches=[2], seconds=0.01, progress=False)
    assert set(seen) == {("fp32", torch.float32), ("bf16", torch.bfloat16)}


def test_what_does_not_fit_into_memory_is_left_out_and_said(tiny, monkeypatch, capsys):
    def apart(model, batch_size, runtime):
        return (None, "killed") if batch_size == 4 else (dict(MEMORY), "")

    monkeypatch.setattr(precision, "measure_apart", apart)
    result = bench_precision(models=["simple_cnn"], batches=[2, 4], seconds=0.01)
    assert [cell["batch"] for cell in result["values"]["cells"]] == [2]
    assert "left out: fp32 gave no answer, perhaps for lack of memory (killed)" in (
        capsys.readouterr().out
    )


def test_which_formats_are_compared(monkeypatch):
    assert lower_precisions(FP32) == []
    assert lower_precisions(BF16) == [("bf16", BF16)]
    cuda = torch.device("cuda")
    with_bf16 = lower_precisions(Runtime(device=cuda, precision="bf16"))
    assert [p for p, _ in with_bf16] == ["bf16", "fp16"]
    assert [r.scaler().is_enabled() for _, r in with_bf16[:1]] == [False]
    older = lower_precisions(Runtime(device=cuda, precision="fp16"))
    assert older == [("fp16", Runtime(device=cuda, precision="fp16"))]


def test_a_device_with_one_precision_has_nothing_to_compare(monkeypatch):
    monkeypatch.setattr(precision, "detect", lambda device: FP32)
    with pytest.raises(UserError, match="cpu here is fast at fp32 alone, so there is nothing to"):
        bench_precision()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seconds": 0}, "--seconds must be in"),
        ({"models": ["resnet81"]}, "--models: no 'resnet81': did you mean 'resnet18'"),
        ({"models": []}, "--models needs a name"),
        ({"batches": [1]}, "--batches must be in .2, 4096., got 1"),
    ],
)
def test_a_mistake_is_told_before_anything_takes_time(wrong, message, monkeypatch):
    monkeypatch.setattr(precision, "detect", lambda device: 1 / 0)
    with pytest.raises(UserError, match=message):
        bench_precision(**wrong)


def test_the_plan_is_four_networks_and_three_batch_sizes():
    assert len(MODELS) == 4
    assert BATCHES == (32, 128, 512)
