"""Mirrors cifar_lessons/training/ema.py."""

import torch
from torch import nn

from cifar_lessons.training.ema import build_ema


def test_no_decay_no_average():
    assert build_ema(nn.Linear(2, 2), None) is None


def test_matches_the_recursion_by_hand():
    model = nn.Linear(3, 2)
    ema = build_ema(model, 0.9)
    assert ema is not None
    expected = None
    for step in range(5):
        with torch.no_grad():
            model.weight.fill_(step)
        ema.update_parameters(model)
        # The first update takes the weights as they are: there is nothing to average with.
        expected = float(step) if expected is None else 0.9 * expected + 0.1 * step
        torch.testing.assert_close(ema.module.weight, torch.full((2, 3), expected))


def test_running_statistics_are_averaged_with_the_weights():
    model = nn.Sequential(nn.BatchNorm1d(1))
    ema = build_ema(model, 0.5)
    assert ema is not None
    for mean in (0.0, 4.0):
        model[0].running_mean.fill_(mean)
        ema.update_parameters(model)
    assert ema.module[0].running_mean.item() == 2.0


def test_the_average_is_a_copy_that_no_gradient_reaches():
    model = nn.Linear(2, 2)
    ema = build_ema(model, 0.9)
    assert ema is not None
    ema.update_parameters(model)
    before = ema.module.weight.clone()
    model(torch.ones(1, 2)).sum().backward()
    with torch.no_grad():
        model.weight.add_(1.0)
    assert torch.equal(ema.module.weight, before)
    assert ema.module.weight.grad is None
