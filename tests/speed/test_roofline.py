"""Mirrors cifar_lessons/speed/roofline.py, on a tiny network."""

import json

import pytest
import torch

from cifar_lessons.config import ModelConfig
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import Runtime
from cifar_lessons.speed import figures, roofline, tables
from cifar_lessons.speed.layers import layers
from cifar_lessons.speed.roofline import bench_roofline, time_layer, training_pass

BF16 = Runtime(device=torch.device("cpu"), precision="bf16")
TINY = ModelConfig(name="resnet18", options={"width": 4})


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(roofline, "NETWORKS", {"tiny": TINY})
    monkeypatch.setattr(roofline, "detect", lambda device: BF16)
    monkeypatch.setattr(roofline, "matmul_rate", lambda p, *, threads, seconds: 1e9 * threads)
    monkeypatch.setattr(roofline, "copy_rate", lambda *, threads, seconds: 1e8 * threads)


def test_all_of_it_as_short_as_it_gets(tiny, capsys):
    result = bench_roofline(seconds=0.01, batch_size=2, networks=["tiny"])
    values = result["values"]
    assert set(values["peaks"]) == {"fp32", "bf16"}
    assert values["bandwidth"]["1"] == 1e8
    assert len(values["layers"]) == len(layers(TINY))
    for row in values["layers"]:
        assert row["model"] == "tiny"
        assert row["seconds"]["fp32"]["n"] == row["seconds"]["bf16"]["n"] >= 3
        assert row["seconds"]["bf16"]["low"] <= row["seconds"]["bf16"]["median"]
        assert row["bytes"]["fp32"] == 2 * row["bytes"]["bf16"]
    json.dumps(result, allow_nan=False)
    assert "tiny: dense" in str(tables.by_kind(result))
    assert "matrix product, bf16" in str(tables.roofs(result))
    assert len(figures.roofline(result).axes) == 2
    assert "the layers of tiny" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_layer_is_passed_as_in_training(precision):
    """Forward and both gradients; the images of the first layer get none."""
    first, norm, *_ = layers(TINY)
    weight, *rest = training_pass(first, 2, precision, BF16)()  # type: ignore[misc]
    assert rest == []
    assert weight.dtype is torch.float32
    x, scale, shift = training_pass(norm, 2, precision, BF16)()  # type: ignore[misc]
    assert x.shape == (2, 4, 32, 32)
    assert x.dtype is (torch.bfloat16 if precision == "bf16" else torch.float32)
    assert scale.shape == shift.shape == (4,)


def test_the_layer_of_the_network_is_left_as_it_was():
    first = layers(TINY)[0]
    before = first.module.weight.clone()  # type: ignore[operator]
    time_layer(first, 2, ["fp32"], BF16, 0.0)
    assert torch.equal(first.module.weight, before)  # type: ignore[arg-type]
    assert first.module.weight.grad is None  # type: ignore[union-attr]


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"batch_size": 1}])
def test_a_mistake_is_told_before_anything_takes_time(wrong, monkeypatch):
    monkeypatch.setattr(roofline, "detect", lambda device: 1 / 0)
    with pytest.raises(UserError, match="must be in"):
        bench_roofline(**wrong)
