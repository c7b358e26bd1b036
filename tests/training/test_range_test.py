"""Mirrors cifar_lessons/training/range_test.py: it finds the rate, and leaves no trace."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from cifar_lessons.config import DataConfig, OptimConfig
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.data.loader import Batch, TrainLoader
from cifar_lessons.errors import UserError
from cifar_lessons.objectives.base import StepOutput
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.runtime import Runtime
from cifar_lessons.training.range_test import RangeTest, range_test
from cifar_lessons.training.step import LossIsNotFinite

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
PLAIN = OptimConfig(momentum=0.0, nesterov=False, weight_decay=0.0)


@pytest.fixture(scope="module")
def train() -> TrainLoader:
    split = synthetic(num_train=64, num_test=10, val_size=16).train  # 48 images, 3 steps an epoch
    return TrainLoader(split, DataConfig(), batch_size=16, seed=0)


class Bowl(nn.Module):
    """One weight, whose loss is a bowl of curvature 1: it diverges at rates above 2."""

    def __init__(self, start: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[start]]))


def bowl_loss(model: nn.Module, batch: Batch) -> StepOutput:
    loss = 0.5 * (model.weight**2).sum() + 0.1  # never 0, so that "times the lowest" means much
    return StepOutput(loss, {"loss": loss.detach()})


def test_on_a_bowl_the_losses_are_those_of_gradient_descent(train):
    found = range_test(
        Bowl(), bowl_loss, train=train, optim=PLAIN, runtime=FP32, low=0.01, high=1.0, steps=21
    )
    rates = np.geomspace(0.01, 1.0, 21)
    weights = np.cumprod([1.0, *(1 - rates[:-1])])
    assert found.rates == pytest.approx(rates)
    assert found.losses == pytest.approx(0.5 * weights**2 + 0.1, rel=1e-5)
    assert not found.diverged


def test_it_stops_once_the_rate_is_above_what_the_curvature_bears(train):
    found = range_test(
        Bowl(), bowl_loss, train=train, optim=PLAIN, runtime=FP32, low=0.01, high=1e4, steps=200
    )
    assert found.diverged
    assert len(found.rates) < 200
    assert 2 < found.rates[-1] < 200
    assert found.losses[-1] > 4 * min(found.losses)
    assert found.suggestion is not None
    assert 0.01 < found.suggestion <= found.lowest < 2.2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_that_is_no_number_ends_it_as_well(train, precision):
    """From a loss of 0.1 to infinity in one step: none of the losses is above the limit."""

    def cliff(model: nn.Module, batch: Batch) -> StepOutput:
        loss = torch.where(model.weight > 0.5, 0.1 * model.weight, torch.nan).sum()
        return StepOutput(loss, {})

    runtime = Runtime(device=torch.device("cpu"), precision=precision)
    found = range_test(Bowl(), cliff, train=train, optim=PLAIN, runtime=runtime)
    assert found.diverged
    assert all(map(math.isfinite, found.losses))
    with pytest.raises(LossIsNotFinite):
        range_test(Bowl(0.0), cliff, train=train, optim=PLAIN, runtime=runtime)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=4), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()),
        *(nn.Dropout(0.2), nn.Linear(512, 10)),
    )


def test_the_network_stays_as_it_was(train):
    model = network().eval()
    before = copy.deepcopy(model.state_dict())
    range_test(model, SupervisedObjective(), train=train, optim=OptimConfig(), runtime=FP32)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert not model.training
    assert all(p.grad is None for p in model.parameters())


def test_a_network_learns_on_the_way_and_the_same_call_gives_the_same(train):
    first, again = (
        range_test(
            network(), SupervisedObjective(), train=train, optim=OptimConfig(), runtime=FP32,
            low=1e-4, high=100.0, steps=60,
        )
        for _ in range(2)
    )  # fmt: skip
    assert first == again
    assert min(first.losses) < 0.9 * first.losses[0]
    assert first.suggestion is not None
    assert 1e-3 < first.suggestion < 10


# What the losses say.


def made_up(losses: list[float]) -> RangeTest:
    return RangeTest(tuple(np.geomspace(1e-3, 1.0, len(losses))), tuple(losses), False)


def test_the_suggestion_is_where_the_loss_falls_fastest_and_lowest_where_it_ends():
    losses = [2.0] * 20 + list(np.linspace(2, 1.8, 10)) + list(np.linspace(1.8, 0.8, 10)) + [3] * 10
    found = made_up(losses)
    assert 30 <= found.rates.index(found.suggestion) < 40
    assert 35 <= found.rates.index(found.lowest) < 40


def test_the_mean_does_not_lag():
    """A straight line stays where it is, up to both ends."""
    line = list(np.linspace(3.0, 1.0, 50))
    assert made_up(line).smooth == pytest.approx(line)


def test_noise_shrinks():
    rng = np.random.default_rng(0)
    found = made_up(list(2 + 0.1 * rng.normal(size=100)))
    assert found.smooth[5:-5].std() < 0.05


@pytest.mark.parametrize("losses", [[1.0, 2.0, 3.0, 4.0], [1.0] * 20, [1.0]])
def test_a_loss_that_never_falls_suggests_nothing(losses):
    assert made_up(losses).suggestion is None
    assert made_up(losses).chart().endswith("the loss never falls: begin lower, or take more steps")


def test_the_chart_has_a_line_for_some_rates_and_says_what_was_found():
    lines = made_up(list(np.linspace(2, 1, 100))).chart().splitlines()
    assert len(lines) == 26
    assert lines[0].split() == ["0.001", "2.000", "█" * 40]
    assert lines[-1].startswith("the loss falls fastest at a rate of ")
    stopped = RangeTest((0.1, 0.2), (1.0, 5.0), True).chart()
    assert "stopped after 2 steps: the loss exploded" in stopped


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"low": 0.0}, "0 < low < high, got 0 and 10; try"),
        ({"low": 1.0, "high": 0.1}, "0 < low < high, got 1 and 0.1; try"),
        ({"low": math.nan}, "got nan and 10"),
        ({"high": math.inf}, "got 0.0001 and inf"),
        ({"steps": 9}, "steps must be >= 10, got 9; 100 is usual"),
    ],
)
def test_a_range_that_is_none_is_refused(train, changes, said):
    with pytest.raises(UserError, match=said):
        range_test(Bowl(), bowl_loss, train=train, optim=PLAIN, runtime=FP32, **changes)
