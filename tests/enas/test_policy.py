"""Mirrors cifar_lessons/enas/policy.py: what is rewarded becomes likely, by the right gradient."""

import itertools
import math

import pytest
import torch

from cifar_lessons.config import ArchitectureSearch
from cifar_lessons.enas.controller import Controller
from cifar_lessons.enas.policy import Reinforce
from cifar_lessons.enas.space import OPERATIONS, Architecture, Layer


def make(layers: int = 3, **config) -> Reinforce:
    torch.manual_seed(0)
    return Reinforce(Controller(layers), ArchitectureSearch(**config))


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_rewarded_operation_becomes_likely():
    policy = make(controller_lr=0.02, skip_weight=0.0)
    for k in range(60):
        row = policy.update(lambda a: a.operations.count("s5") / 3, rng(k))
    assert row["p_s5"] > 0.6
    assert row["entropy"] < 5.0 < 3 * math.log(6) + 3 * math.log(2)
    assert row["reward"] > 0.5


def test_without_rewards_it_stays_near_a_die_but_for_the_skips():
    policy = make(controller_lr=0.02)
    for k in range(60):
        row = policy.update(lambda _: 0.5, rng(k))
    assert row["skip_share"] == pytest.approx(0.4, abs=0.03)  # the target, from 0.5
    assert all(abs(row[f"p_{op}"] - 1 / 6) < 0.05 for op in ("c3", "s3", "c5", "s5", "ap", "mp"))


def test_the_baseline_is_a_moving_average_that_knows_the_reward_it_judges():
    policy = make(baseline_decay=0.9)
    assert policy.advantage(0.5) == 0.0  # the first reward is all there is
    assert policy.advantage(1.0) == pytest.approx(1.0 - (0.9 * 0.5 + 0.1 * 1.0))
    assert policy.baseline == pytest.approx(0.55)


def test_the_gradient_is_that_of_the_expected_reward():
    """Over many samples: against the exact gradient of sum p(a) R(a), by enumeration."""
    whole = itertools.product(OPERATIONS, OPERATIONS, ((), (0,)))
    every = [Architecture((Layer(a), Layer(b, skips))) for a, b, skips in whole]
    policy = make(layers=2, rewards_per_update=4_000, skip_weight=0.0, entropy_weight=0.0)
    controller = policy.controller

    def reward(architecture) -> float:
        return float(architecture.operations[1] == "c5") + 0.5 * architecture.skip_share

    value = sum(
        p * reward(a) for p, a in zip(controller.score(every).log_prob.exp(), every, strict=True)
    )
    exact = torch.autograd.grad(value, controller.choose.weight)[0]
    policy.optimizer.step = lambda: None  # keep the gradient, move nothing
    policy.update(reward, rng(0))
    found = -controller.choose.weight.grad  # type: ignore[operator]
    close = torch.nn.functional.cosine_similarity(exact.flatten(), found.flatten(), dim=0)
    assert close > 0.9
    assert 0.7 < (found.norm() / exact.norm()).item() < 1.3


def test_entropy_is_worth_something_in_the_reward():
    rows = [make(entropy_weight=w).update(lambda _: 0.5, rng(0)) for w in (0.0, 1.0)]
    assert rows[0]["reward"] == rows[1]["reward"] == 0.5  # reported without the bonus
    assert rows[1]["baseline"] - rows[0]["baseline"] == pytest.approx(rows[0]["entropy"], rel=1e-3)


def test_it_goes_on_from_its_state_bit_for_bit():
    def reward(a) -> float:
        return a.skip_share

    whole, half = make(), make()
    for k in range(4):
        last = whole.update(reward, rng(k))
    for k in range(2):
        half.update(reward, rng(k))
    other = make()
    other.load(half.state())
    for k in range(2, 4):
        again = other.update(reward, rng(k))
    assert again == last
