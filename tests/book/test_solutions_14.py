"""Proves that the exercises of chapter 14 have solutions, and that their checks find mistakes."""

import numpy as np
import pytest
from exercises import Exercises, cell

from cifar_lessons.enas.ranking import kendall_tau

NOTEBOOK = "14_enas.ipynb"
# What the cells before the exercises leave behind.
BEFORE = """
import numpy as np
import torch

from cifar_lessons.enas.cost import multiplications
from cifar_lessons.enas.space import OPERATIONS, plain
"""


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        (0, {"(one + extra.get(kind, 0))": "extra.get(kind, 0)"}),
        (0, {"int(k) ** 2 * channels + one": "int(k) ** 2 * channels"}),
        (0, {"int(k) ** 2 * channels + one": "int(k) ** 2 * one"}),
        (1, {"(len(rewards) - 1)": "len(rewards)"}),
        (1, {"(rewards.sum() - rewards) / (len(rewards) - 1)": "rewards.mean()"}),
        (1, {"return -(": "return ("}),
        (2, {"test[validation.argmax()]": "validation.max()"}),
        (2, {"test[validation.argmax()]": "test.mean()"}),
    ]


@pytest.fixture
def learn():
    names = TestExercises.run(cell(NOTEBOOK, "pays = np.array"))
    return names["learn"]


def test_the_gambler_with_a_baseline_finds_the_best_lever_and_without_does_not(learn):
    with_it, without = (list(learn(keep))[-1] for keep in (0.9, 0.0))
    assert with_it > 0.85
    assert without < 0.6


def test_a_baseline_keeps_the_direction_and_takes_the_noise():
    source = cell(NOTEBOOK, "rng, p = np.random.default_rng(0), np.full(6")
    names = TestExercises.run("pays = np.array([0.78, 0.80, 0.88, 0.79, 0.70, 0.72])", source)
    noise = {
        usual: (names["up"] * (names["rewards"] - usual)[:, None]).std() for usual in (0.0, 0.78)
    }
    assert noise[0.78] < 0.2 * noise[0.0]
    assert np.abs(names["steps"].mean(0) - names["exact"]).max() < 0.002


def test_the_tau_that_the_chapter_writes_is_the_librarys():
    source = cell(NOTEBOOK, "from cifar_lessons.enas.ranking import").split("\nx, y =")[0]
    tau = TestExercises.run(source)["tau"]
    x, y = np.random.default_rng(5).normal(size=(2, 9))
    assert tau(x, y) == pytest.approx(kendall_tau(x, y))


def test_luck_makes_equal_networks_look_better():
    names = TestExercises.run(cell(NOTEBOOK, "rng, truth ="))
    assert 0.01 < names["lucky"].mean() < 0.02
