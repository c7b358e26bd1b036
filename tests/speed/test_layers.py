"""Mirrors cifar_lessons/speed/layers.py: the work against PyTorch's own count and hand counts."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cifar_lessons.config import ModelConfig
from cifar_lessons.models import build_model
from cifar_lessons.speed.layers import Layer, kind_of, layers, multiplications


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "simple_cnn"])
def test_operations_are_three_times_those_that_pytorch_counts_forward(name):
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        build_model(name)(torch.zeros(2, 3, 32, 32))
    found = layers(ModelConfig(name=name))
    first = found[0]
    assert first.first
    # Of the first layer nothing but the weights has a gradient.
    missing = first.operations(2) // 2
    total = sum(x.count * x.operations(2) for x in found if x.kind != "batch norm")
    assert total + missing == 3 * counter.get_total_flops()


@pytest.mark.parametrize("options", [{}, {"width": 0.5, "stem_stride": 2}])
def test_multiplications_of_an_image_are_half_the_operations_that_pytorch_counts(options):
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        build_model("mobilenet_v2", **options)(torch.zeros(1, 3, 32, 32))
    model = ModelConfig(name="mobilenet_v2", options=options)
    assert 2 * multiplications(model) == counter.get_total_flops()


def only(name: str, kind: str, words: str, **options: object) -> Layer:
    [found] = [x for x in layers(ModelConfig(name=name, options=options)) if words in x.name
               and x.kind == kind]  # fmt: skip
    return found


def test_alike_layers_are_counted_together():
    layer = only("resnet18", "dense", "3x3 64→64, 32x32")
    assert layer.count == 4
    norm = only("resnet18", "batch norm", "64 channels, 32x32")
    assert norm.count == 5


def test_a_dense_layer_by_hand():
    layer = only("resnet18", "dense", "3x3 64→128, 32x32 /2")
    outputs, inputs, weights = 128 * 16 * 16, 64 * 32 * 32, 128 * 64 * 9
    assert layer.operations(10) == 3 * 10 * outputs * 2 * 64 * 9
    assert layer.traffic(10, "fp32") == 3 * 4 * (10 * inputs + weights + 10 * outputs)
    assert layer.traffic(10, "bf16") == layer.traffic(10, "fp32") // 2


def test_a_depthwise_layer_by_hand():
    layer = only("mobilenet_v2", "depthwise", "3x3 96→96, 32x32")
    numbers = 96 * 32 * 32
    assert layer.operations(1) == 3 * numbers * 2 * 9  # nine products an output, not 9 x 96
    # Twice as many numbers are moved as are multiplied nine times: 2.25 operations a byte.
    assert layer.operations(128) / layer.traffic(128, "fp32") == pytest.approx(2.25, abs=0.01)


def test_batch_norm_by_hand():
    layer = only("resnet18", "batch norm", "512 channels, 4x4")
    assert layer.operations(1) == 15 * 512 * 16
    assert layer.traffic(1, "fp32") == 4 * 5 * 512 * 16


def test_a_layer_needs_no_gradient_of_the_images():
    found = layers(ModelConfig(name="resnet18"))
    assert [layer.first for layer in found] == [True] + [False] * (len(found) - 1)
    assert found[0].operations(1) == 2 * (64 * 32 * 32) * 2 * 27


def test_kinds():
    kinds = {kind_of(m) for m in build_model("mobilenet_v2").modules()}
    assert kinds == {None, "dense", "depthwise", "pointwise", "batch norm", "linear"}


def test_nothing_is_left_on_the_network():
    assert layers(ModelConfig(name="simple_cnn"))[-1].module._forward_hooks == {}
