"""Mirrors cifar_lessons/evaluation/outsiders.py."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cifar_lessons.evaluation.outsiders import auroc, familiarity, largest_probability

LOGITS = np.array([[2.0, 0.0, 1.0], [5.0, 5.0, 5.0], [-700.0, 0.0, -800.0]])


def test_largest_probability_by_hand():
    e = math.e
    expected = [e**2 / (e**2 + 1 + e), 1 / 3, 1.0]
    assert largest_probability(LOGITS) == pytest.approx(expected)


def test_familiarity_by_hand():
    e = math.e
    expected = [math.log(e**2 + 1 + e), 5 + math.log(3), 0.0]
    assert familiarity(LOGITS) == pytest.approx(expected)
    cold = 0.5 * math.log(e**4 + 1 + e**2)
    assert familiarity(LOGITS[:1], temperature=0.5) == pytest.approx([cold])


def test_a_constant_on_all_logits_moves_familiarity_and_no_probability():
    assert largest_probability(LOGITS + 100) == pytest.approx(largest_probability(LOGITS))
    assert familiarity(LOGITS + 100) == pytest.approx(familiarity(LOGITS) + 100)


def test_auroc_is_scikit_learns_with_ties_too():
    rng = np.random.default_rng(0)
    inside, outside = rng.integers(2, 9, 60), rng.integers(0, 7, 40)
    labels = np.repeat([1, 0], [60, 40])
    expected = roc_auc_score(labels, np.concatenate([inside, outside]))
    assert auroc(inside, outside) == pytest.approx(expected)
    assert auroc(outside, inside) == pytest.approx(1 - expected)


def test_auroc_of_groups_that_are_apart_or_the_same():
    assert auroc([3, 4], [1, 2]) == 1.0
    assert auroc([1, 2], [3, 4]) == 0.0
    assert auroc([1, 2, 3], [1, 2, 3]) == 0.5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: familiarity(LOGITS, temperature=0.0), "temperature must be > 0, got 0.0"),
        (lambda: auroc([], [1.0]), "both groups need a score, got 0 and 1"),
        (lambda: largest_probability([1.0, 2.0]), r"logits must be \(N, K\), got \(2,\)"),
    ],
)
def test_mistakes_name_the_value(call, words):
    with pytest.raises(ValueError, match=words):
        call()
