"""Mirrors cifar_lessons/enas/cost.py: the count is that of the network itself."""

import numpy as np
import pytest
import torch
from torch import nn

from cifar_lessons.enas.arms import CONTROLS, TARGET, control
from cifar_lessons.enas.cost import matched_width, multiplications, reference
from cifar_lessons.enas.space import Architecture, parse, plain, uniform
from cifar_lessons.models import build_model


def by_hooks(architecture: Architecture, width: int) -> int:
    """Count by running the network: every convolution's outputs times what each multiplies."""
    total = 0

    def count(layer: nn.Module, _inputs: object, out: torch.Tensor) -> None:
        nonlocal total
        total += out[0].numel() * layer.weight[0].numel()

    model = build_model("enas", architecture=str(architecture), width=width).eval()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        model(torch.randn(1, 3, 32, 32))
    return total


def test_it_counts_what_the_network_multiplies():
    rng = np.random.default_rng(0)
    for architecture in [uniform(rng) for _ in range(8)] + [uniform(rng, layers=9)]:
        assert multiplications(architecture, 5) == by_hooks(architecture, 5)


def test_a_larger_filter_costs_more_and_a_pool_least():
    cost = {op: multiplications(plain([op] * 6), 24) for op in ("mp", "s3", "s5", "c3", "c5")}
    assert list(cost.values()) == sorted(cost.values())
    assert cost["c5"] / cost["c3"] == pytest.approx(26 / 10, rel=0.05)


def test_the_controls_match_the_reference_within_four_percent():
    assert reference(24) == TARGET == multiplications(plain(["c3"] * 6), 24)
    for name, (architecture, _) in CONTROLS.items():
        width = control(name).model.options["width"]
        assert multiplications(architecture, width) == pytest.approx(TARGET, rel=0.04), name


def test_the_matched_width_is_the_nearest():
    pools = parse("mp/mp/mp/mp/mp/mp")
    width = matched_width(pools, TARGET)
    away = [abs(multiplications(pools, width + d) - TARGET) for d in (-1, 0, 1)]
    assert min(away) == away[1]
    assert matched_width(plain(["c3"] * 6), TARGET) == 24
