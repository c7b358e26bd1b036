"""Mirrors cifar_lessons/training/optim.py: which weights decay, and the arithmetic of each kind."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from cifar_lessons.config import MuonConfig, OptimConfig
from cifar_lessons.models import MODELS, build_model
from cifar_lessons.training.optim import build_optimizer, set_lr, set_rates

RATES = (0.1, 0.2, 0.05, 0.1)  # a rate that moves, as under a schedule


@pytest.mark.parametrize("name", list(MODELS))
def test_weights_of_convolutions_and_linear_layers_decay_and_nothing_else(name):
    model = build_model(name)
    decays = {
        id(layer.weight) for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    groups = build_optimizer(model, OptimConfig(weight_decay=0.01)).param_groups
    found = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    trained = [p for p in model.parameters() if p.requires_grad]
    assert found == {id(p): 0.01 if id(p) in decays else 0.0 for p in trained}


def test_frozen_weights_are_left_out():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    groups = build_optimizer(model, OptimConfig()).param_groups
    assert [p.shape for group in groups for p in group["params"]] == [(2, 3), (2,)]


def test_the_rate_is_set_in_every_group():
    optimizer = build_optimizer(nn.Linear(3, 2), OptimConfig())
    set_lr(optimizer, 0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]


@pytest.mark.parametrize("nesterov", [False, True])
def test_an_overflow_in_the_first_step_leaves_no_trace(nesterov):
    """fp16 begins with a scale that may overflow at once; what is skipped then must not count."""
    model, plain = nn.Linear(3, 2), nn.Linear(3, 2)
    plain.load_state_dict(model.state_dict())
    optimizer = build_optimizer(model, OptimConfig(nesterov=nesterov))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    x = torch.randn(4, 3)
    for factor in (math.inf, 1.0, 1.0):
        optimizer.zero_grad()
        scaler.scale(factor * model(x).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
    other = build_optimizer(plain, OptimConfig(nesterov=nesterov))
    for _ in range(2):
        other.zero_grad()
        plain(x).sum().backward()
        other.step()
    torch.testing.assert_close(model.state_dict(), plain.state_dict())


def test_momentum_begins_at_zero_as_if_it_were_made_in_the_first_step():
    model, plain = nn.Linear(3, 2), nn.Linear(3, 2)
    plain.load_state_dict(model.state_dict())
    ours = build_optimizer(model, OptimConfig(weight_decay=0.01))
    theirs = torch.optim.SGD(plain.parameters(), momentum=0.9, nesterov=True, fused=True)
    theirs.param_groups[0]["lr"] = ours.param_groups[0]["lr"]
    ours.param_groups[0]["weight_decay"] = 0.0
    for network, optimizer in ((model, ours), (plain, theirs)):
        for step in range(3):
            optimizer.zero_grad()
            network(torch.full((4, 3), step + 1.0)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(model.state_dict(), plain.state_dict(), rtol=0, atol=0)


class ByHand:
    """One number's way through an optimizer, as its paper writes it."""

    def __init__(self, config: OptimConfig, weight: float, *, decays: bool) -> None:
        self.config, self.weight = config, weight
        self.decay = config.weight_decay if decays else 0.0
        self.first = self.second = 0.0
        self.steps = 0

    def step(self, gradient: float, lr: float) -> None:
        c, self.steps = self.config, self.steps + 1
        if c.name == "adamw":
            self.weight -= lr * self.decay * self.weight
        else:
            gradient += self.decay * self.weight
        if c.name == "sgd":
            self.first = c.momentum * self.first + gradient
            move = gradient + c.momentum * self.first if c.nesterov else self.first
            self.weight -= lr * move
            return
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        mean, spread = self.first / (1 - 0.9**self.steps), self.second / (1 - 0.999**self.steps)
        self.weight -= lr * mean / (math.sqrt(spread) + 1e-8)


@pytest.mark.parametrize(
    "config",
    [
        OptimConfig(name="sgd", momentum=0.9, nesterov=True, weight_decay=0.1),
        OptimConfig(name="sgd", momentum=0.9, nesterov=False, weight_decay=0.1),
        OptimConfig(name="sgd", momentum=0.0, nesterov=True, weight_decay=0.0),
        OptimConfig(name="adam", weight_decay=0.1),
        OptimConfig(name="adamw", weight_decay=0.1),
    ],
    ids=["nesterov", "momentum", "plain sgd", "adam", "adamw"],
)
def test_matches_the_arithmetic_by_hand(config):
    torch.manual_seed(0)
    layer = nn.Linear(1, 1)
    weight, bias = (ByHand(config, p.item(), decays=p.ndim > 1) for p in layer.parameters())
    optimizer = build_optimizer(layer, config)
    for lr in RATES:
        set_lr(optimizer, lr)
        optimizer.zero_grad()
        ((layer(torch.tensor([[2.0]])) - 3) ** 2).sum().backward()
        gradients = [p.grad.item() for p in layer.parameters()]
        optimizer.step()
        for mine, gradient in zip((weight, bias), gradients, strict=True):
            mine.step(gradient, lr)
    found = [layer.weight.item(), layer.bias.item()]
    assert found == pytest.approx([weight.weight, bias.weight], rel=1e-5)


MUON = OptimConfig(
    name="muon",
    peak_lr=0.2,
    momentum=0.6,
    weight_decay=0.004,
    muon=MuonConfig(bias_lr=100.0, head_lr=0.02, momentum=0.85, stem_share=0.5),
)


def test_muon_has_a_group_for_filters_stem_biases_and_head():
    model = build_model("speednet", widths=[24, 32, 32])
    filters, stem, biases, head = build_optimizer(model, MUON).param_groups
    assert {p.ndim for p in filters["params"]} == {4}
    assert len(filters["params"]) == 6
    assert [id(p) for p in stem["params"]] == [id(model.stem.bias)]
    assert len(biases["params"]) == 6
    assert [id(p) for p in head["params"]] == [id(model.head.weight)]
    assert [g["orthogonal"] for g in (filters, stem, biases, head)] == [True, False, False, False]
    assert [g["momentum"] for g in (filters, stem, biases, head)] == [0.6, 0.85, 0.85, 0.85]
    # A step at the peak rate takes 0.4 % off what SGD moves.
    assert [g["lr"] * g["weight_decay"] for g in (filters, stem, biases, head)] == pytest.approx(
        [0.0, 0.004, 0.004, 0.004]
    )


def test_filters_may_follow_sgd_as_well_and_then_they_decay():
    config = replace(MUON, muon=replace(MUON.muon, orthogonal=False))
    layer = nn.Sequential()
    layer.stem, layer.head = nn.Conv2d(3, 2, 1), nn.Linear(1, 1)
    filters, *_ = build_optimizer(layer, config).param_groups
    assert filters["orthogonal"] is False
    assert (filters["lr"], filters["momentum"]) == (0.2, 0.6)
    assert filters["lr"] * filters["weight_decay"] == pytest.approx(0.004)


def test_each_group_moves_at_its_own_scale():
    optimizer = build_optimizer(build_model("speednet", widths=[24, 32, 32]), MUON)
    set_lr(optimizer, 0.1)  # half of the peak
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.1, 50.0, 50.0, 0.01])


def test_weights_whose_time_is_over_rest_and_wake_again():
    """A run that resumes earlier than another one ended must train them again."""
    model = build_model("speednet", widths=[24, 32, 32])
    optimizer = build_optimizer(model, MUON)
    for late in (False, True, False):
        set_rates(optimizer, lambda until, late=late: 0.0 if late and until == 0.5 else 0.1)
        assert model.stem.bias.requires_grad is not late
        assert model.head.weight.requires_grad


def test_weights_need_not_rest_where_others_wait_for_their_gradient():
    model = build_model("speednet", widths=[24, 32, 32])
    optimizer = build_optimizer(model, MUON)
    set_rates(optimizer, lambda until: 0.0 if until == 0.5 else 0.1, rest=False)
    assert model.stem.bias.requires_grad
    assert optimizer.param_groups[1]["lr"] == 0.0
