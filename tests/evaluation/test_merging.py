"""Mirrors cifar_lessons/evaluation/merging.py."""

import math

import numpy as np
import pytest

from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.merging import MERGES, learn, log_softmax, merge, merge_named
from cifar_lessons.evaluation.metrics import Predictions, negative_log_likelihood

WEIGHTS = {"a": 0.5, "b": 0.25, "c": 0.25}


@pytest.fixture
def logits() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {view: rng.normal(0, 3, (20, 5)).astype(np.float32) for view in "abcd"}


def softmax(row: list[float]) -> list[float]:
    exps = [math.exp(x) for x in row]
    return [e / sum(exps) for e in exps]


def by_hand(logits: dict[str, np.ndarray], image: int, how: str) -> list[float]:
    """The probabilities of one image, one Python float at a time."""
    rows = {view: logits[view][image].tolist() for view in WEIGHTS}
    parts = {
        "logits": lambda row: row,
        "probabilities": softmax,
        "log_probabilities": lambda row: [math.log(p) for p in softmax(row)],
    }[how]
    mean = [
        sum(w * parts(rows[view])[k] for view, w in WEIGHTS.items()) for k in range(len(rows["a"]))
    ]
    return mean if how == "probabilities" else softmax(mean)


@pytest.mark.parametrize("how", MERGES)
def test_each_mean_by_hand(logits, how):
    merged = merge(logits, WEIGHTS, how)
    assert merged.dtype == np.float32
    for image in range(20):
        assert softmax(merged[image].tolist()) == pytest.approx(by_hand(logits, image, how))


def test_logits_and_log_probabilities_are_one_prediction_and_probabilities_are_another(logits):
    a, b, c = (log_softmax(merge(logits, WEIGHTS, how)) for how in MERGES)
    assert MERGES == ("logits", "probabilities", "log_probabilities")
    np.testing.assert_allclose(a, c, atol=1e-5)
    assert np.abs(a - b).max() > 0.1


def test_one_view_that_is_sure_vetoes_in_logits_and_not_in_probabilities():
    logits = {"a": [[3.0, 0.0]], "b": [[3.0, 0.0]], "c": [[-30.0, 0.0]]}
    arrays = {view: np.array(rows, np.float32) for view, rows in logits.items()}
    even = dict.fromkeys("abc", 1 / 3)
    assert merge(arrays, even, "logits").argmax() == 1
    assert merge(arrays, even, "probabilities").argmax() == 0


@pytest.mark.parametrize("how", MERGES)
def test_large_logits_do_not_overflow(how):
    huge = {view: np.array([[3e4, 0.0, -3e4]], np.float32) for view in "abc"}
    merged = merge(huge, WEIGHTS, how)
    assert np.isfinite(merged).all()
    assert merged.argmax() == 0


@pytest.mark.parametrize(
    "weights", [{"a": 0.5, "b": 0.4}, {"a": 0.5, "nowhere": 0.5}, {}, {"a": 2.0}]
)
def test_weights_that_do_not_fit_are_refused(logits, weights):
    with pytest.raises(ValueError, match=r"must add up to 1 over views among \['a', 'b', 'c', 'd"):
        merge(logits, weights)


def test_an_unknown_mean_is_answered_with_the_nearest_names():
    assert merge_named("probabilities") == "probabilities"
    with pytest.raises(UserError, match="no merge 'probability': did you mean 'probabilities'"):
        merge_named("probability")


def made_up(n: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A good view, one that is half as good, and two of pure noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    signal = 3 * np.eye(4)[labels]
    noise = {view: rng.normal(0, 1.5, (n, 4)) for view in ("good", "fair", "noise 1", "noise 2")}
    noise["good"] += signal
    noise["fair"] += signal / 2
    return {view: rows.astype(np.float32) for view, rows in noise.items()}, labels


def loss(logits: dict[str, np.ndarray], weights: dict[str, float], labels: np.ndarray) -> float:
    return negative_log_likelihood(Predictions(merge(logits, weights), labels))


def test_learned_weights_find_the_views_that_know_something():
    logits, labels = made_up(2_000, seed=0)
    weights = learn(logits, labels)
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["good"] > weights["fair"] > 0.1
    assert sum(weights.get(f"noise {k}", 0.0) for k in (1, 2)) < 0.1
    assert learn(logits, labels) == weights  # nothing is random


def test_learned_weights_do_better_than_equal_ones_on_other_images():
    weights = learn(*made_up(2_000, seed=0))
    logits, labels = made_up(2_000, seed=1)
    right = {
        name: (merge(logits, w).argmax(1) == labels).mean()
        for name, w in (("learned", weights), ("equal", dict.fromkeys(logits, 0.25)))
    }
    assert right["learned"] > right["equal"] + 0.02


def test_no_small_change_of_the_weights_is_better_on_the_images_they_were_learned_on():
    """The minimum of the formula: at its own temperature, every direction goes up."""
    from scipy.optimize import minimize_scalar

    logits, labels = made_up(500, seed=2)
    weights = {view: learn(logits, labels).get(view, 0.0) for view in logits}

    def coldest(w: dict[str, float]) -> float:
        merged = merge(logits, w)
        return minimize_scalar(
            lambda t: negative_log_likelihood(Predictions(merged * t, labels)), bounds=(0.1, 10)
        ).fun

    best = coldest(weights)
    for a in logits:
        for b in logits:
            moved = {**weights, a: weights[a] + 0.05}
            moved[b] -= 0.05
            if a != b and moved[b] >= 0:
                assert coldest(moved) > best


def test_where_no_view_knows_anything_all_count_alike():
    against = np.array([[-1.0, 1.0], [-2.0, 2.0]], np.float32)
    weights = learn({"a": against, "b": 2 * against}, np.array([0, 0]))
    assert weights == {"a": 0.5, "b": 0.5}
