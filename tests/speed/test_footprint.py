"""Mirrors cifar_lessons/speed/footprint.py: the count against sizes worked out by hand."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cifar_lessons.config import ModelConfig
from cifar_lessons.runtime import Runtime
from cifar_lessons.speed import footprint
from cifar_lessons.speed.footprint import (
    made_up_batch,
    measure_apart,
    peak_memory,
    saved_for_backward,
    training_step,
)

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
BF16 = Runtime(device=torch.device("cpu"), precision="bf16")
X = torch.randn(8, 6)


def test_inputs_of_layers_are_kept_and_weights_are_not():
    first, second = nn.Linear(6, 4), nn.Linear(4, 2)

    def step():
        second(first(X).relu()).sum().backward()

    # x (8, 6) for the first weight; relu's output (8, 4), kept by relu and by the second layer.
    found = saved_for_backward(nn.Sequential(first, second), step)
    assert found == {"saved": 4 * (8 * 6 + 8 * 4), "weight_copies": 0}


def test_autocast_halves_what_is_kept_and_keeps_copies_of_the_weights():
    first, second = nn.Linear(6, 4, bias=False), nn.Linear(4, 2, bias=False)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = second(first(X).relu())
        out.float().sum().backward()

    found = saved_for_backward(nn.Sequential(first, second), step)
    assert found["saved"] == 2 * (8 * 6 + 8 * 4)
    # The first weight's copy is kept for nothing that the gradient of x would need: x has none.
    assert found["weight_copies"] == 2 * 4 * 2


def test_a_view_counts_with_what_it_is_a_view_of_and_only_once():
    layer = nn.Linear(6, 4, bias=False)
    wide = torch.randn(8, 12)

    def step():
        (layer(wide[:, :6]) * layer(wide[:, 6:])).sum().backward()

    found = saved_for_backward(layer, step)
    assert found["saved"] == 4 * (8 * 12 + 2 * 8 * 4)  # both halves are one storage


def test_a_convolution_keeps_its_input_in_the_precision_of_the_run():
    model = ModelConfig(name="resnet18", options={"width": 4})
    batch = made_up_batch(4)
    found = {}
    for runtime in (FP32, BF16):
        network, step = training_step(model, runtime)
        found[runtime.precision] = saved_for_backward(network, lambda step=step: step(batch))
    assert found["fp32"]["weight_copies"] == 0
    weights = sum(p.numel() for p in network.parameters() if p.ndim > 1)
    first = next(p.numel() for p in network.parameters())
    # All weights in two bytes; the first convolution keeps its own as the others do.
    assert found["bf16"]["weight_copies"] in (2 * weights, 2 * (weights - first))
    assert 0.45 < found["bf16"]["saved"] / found["fp32"]["saved"] < 0.6


def test_a_step_is_a_whole_training_step():
    network, step = training_step(ModelConfig(name="simple_cnn"), FP32)
    before = [p.clone() for p in network.parameters()]
    step(made_up_batch(4))
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_the_made_up_batch_is_what_a_network_expects():
    batch = made_up_batch(5)
    assert batch.images.shape == (5, 3, 32, 32)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batch.images, made_up_batch(5).images)


def test_memory_is_that_of_a_process_of_its_own(monkeypatch):
    """The process starts small, whatever this one holds: ru_maxrss would begin with our peak."""
    ballast = torch.ones(100_000_000)  # 400 MB
    model = ModelConfig(name="resnet18", options={"width": 4})
    found, why = measure_apart(model, 64, FP32)
    assert why == ""
    assert found is not None
    assert found["saved"] > 0
    # Activations are a part of the peak, and it holds nothing of ours.
    assert found["saved"] < found["peak"] - found["before"] < found["saved"] + 4 * len(ballast)


def test_a_process_without_an_answer_is_told_with_its_last_words(monkeypatch):
    found, why = measure_apart(ModelConfig(name="resnet81"), 4, FP32)
    assert found is None
    assert "unknown model 'resnet81'" in why
    killed = subprocess.CompletedProcess([], -9, stdout="", stderr="")
    monkeypatch.setattr(footprint.subprocess, "run", lambda *_, **__: killed)
    assert measure_apart(ModelConfig(name="simple_cnn"), 4, FP32) == (
        None,
        "the process ended with status -9",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_grows_and_stays():
    before = peak_memory()
    held = torch.ones(50_000_000)
    after = peak_memory()
    del held
    assert peak_memory() >= after >= before > 10_000_000


def test_without_proc_the_systems_own_number_is_taken(monkeypatch):
    monkeypatch.setattr(footprint, "_status", lambda name: 0)
    assert peak_memory() > 10_000_000
    assert footprint.memory_now() > 10_000_000


def test_loss_of_made_up_batches_is_finite():
    network, _ = training_step(ModelConfig(name="simple_cnn"), FP32)
    batch = made_up_batch(4)
    assert F.cross_entropy(network(batch.images), batch.labels).isfinite()
