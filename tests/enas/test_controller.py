"""Mirrors cifar_lessons/enas/controller.py: the probabilities are probabilities."""

import itertools
import math

import pytest
import torch

from cifar_lessons.enas.controller import Controller, Uniform
from cifar_lessons.enas.space import OPERATIONS, Architecture, Layer


@pytest.fixture
def controller() -> Controller:
    torch.manual_seed(0)
    found = Controller(2, hidden=8)
    with torch.no_grad():
        for weight in found.parameters():
            weight.mul_(20)  # far from a die
    return found


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


ALL = [
    Architecture((Layer(a), Layer(b, skips)))
    for a, b, skips in itertools.product(OPERATIONS, OPERATIONS, ((), (0,)))
]


def test_the_probabilities_of_all_networks_sum_to_one(controller):
    assert controller.score(ALL).log_prob.exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_samples_come_as_often_as_the_probabilities_say(controller):
    p = controller.score(ALL).log_prob.exp()
    drawn = controller.sample(20_000, rng()).architectures
    counts = torch.tensor([drawn.count(a) for a in ALL]) / 20_000
    assert (counts - p).abs().max() < 0.01
    assert p.max() > 0.05  # a die gives 0.014


def test_a_sample_knows_its_own_probability_and_entropy(controller):
    sample = controller.sample(64, rng())
    again = controller.score(sample.architectures)
    torch.testing.assert_close(sample.log_prob, again.log_prob)
    p = controller.score(ALL).log_prob.exp()
    exact = -(p * p.log()).sum().item()
    mean = controller.sample(20_000, rng(1)).entropy.mean().item()
    assert mean == pytest.approx(exact, abs=0.02)


def test_the_tanh_keeps_every_choice_open():
    torch.manual_seed(0)
    c = 1.5
    strong = Controller(3, tanh_constant=c)
    with torch.no_grad():
        for weight in strong.parameters():
            weight.mul_(1e4)
    most = math.exp(c) / (math.exp(c) + 5 * math.exp(-c))
    sample = strong.sample(8, rng())
    assert sample.operations.max().item() <= most + 1e-5
    assert sample.operations.min() > 0


def test_a_higher_temperature_is_nearer_to_a_die():
    torch.manual_seed(0)
    usual = Controller(3)
    hot = Controller(3, temperature=100.0)
    hot.load_state_dict(usual.state_dict())
    most = Uniform(3).sample(1, rng()).entropy.item()
    cool, warm = (c.sample(8, rng()).entropy.mean().item() for c in (usual, hot))
    assert cool < warm == pytest.approx(most, abs=1e-4)


def test_the_penalty_is_zero_where_skips_have_the_target(controller):
    controller.skip_target = 0.5
    with torch.no_grad():
        controller.answer.weight.zero_()
    torch.testing.assert_close(controller.sample(4, rng()).skip_kl, torch.zeros(4))
    controller.skip_target = 0.4
    expected = 0.5 * math.log(0.5 / 0.4) + 0.5 * math.log(0.5 / 0.6)
    assert controller.sample(1, rng()).skip_kl.item() == pytest.approx(expected, rel=1e-4)


def test_the_same_generator_draws_the_same(controller):
    first, second, other = (controller.sample(8, rng(s)).architectures for s in (3, 3, 4))
    assert first == second != other


def test_first_weights_are_those_of_the_source():
    controller = Controller(6)
    every = torch.cat([p.flatten() for p in controller.parameters()])
    assert controller.cell.hidden_size == 64
    assert 0.099 < every.abs().max() <= 0.1
    assert abs(every.mean()) < 0.002


def test_a_die_is_a_die():
    sample = Uniform(6).sample(3_000, rng())
    assert sample.entropy[0].item() == pytest.approx(6 * math.log(6) + 15 * math.log(2), rel=1e-5)
    share = sum(a.skip_share for a in sample.architectures) / 3_000
    assert share == pytest.approx(0.5, abs=0.01)
    assert len({a.operations for a in sample.architectures}) > 2_000
    found = sample.summary()
    assert found["skip_share"] == pytest.approx(0.5)
    assert found["p_c3"] == pytest.approx(1 / 6)


def test_probabilities_of_skips_that_a_layer_cannot_have_are_zero():
    torch.manual_seed(0)
    skips = Controller(4).sample(2, rng()).skips
    assert skips.shape == (2, 4, 3)
    assert (skips[:, 0] == 0).all()
    assert ((skips[:, 2] > 0) == torch.tensor([True, True, False])).all()
