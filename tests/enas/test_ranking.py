"""Mirrors cifar_lessons/enas/ranking.py: Kendall's tau, against SciPy's."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from cifar_lessons.enas.ranking import bootstrap_tau, kendall_tau


@pytest.mark.parametrize("levels", [3, 1_000])  # with many ties, and with none
def test_tau_is_that_of_scipy(levels):
    rng = np.random.default_rng(0)
    for n in (2, 5, 30):
        x, y = rng.integers(levels, size=(2, n)).tolist()
        if len(set(x)) > 1 and len(set(y)) > 1:
            assert kendall_tau(x, y) == pytest.approx(kendalltau(x, y).statistic)


def test_the_same_order_is_one_and_the_opposite_minus_one():
    assert kendall_tau([1, 2, 5], [0.1, 0.2, 0.3]) == 1
    assert kendall_tau([1, 2, 5], [3, 2, 1]) == -1
    assert np.isnan(kendall_tau([1, 2], [3, 3]))


def test_the_interval_holds_tau_and_shrinks_with_more_things():
    rng = np.random.default_rng(1)
    widths = []
    for n in (12, 100):
        x = rng.normal(size=n)
        y = x + rng.normal(size=n)
        low, high = bootstrap_tau(x, y, draws=500)
        assert low < kendall_tau(x, y) < high
        widths.append(high - low)
    assert widths[1] < 0.6 * widths[0]


@pytest.mark.parametrize(("x", "y"), [([1.0], [1.0]), ([1.0, 2.0], [1.0])])
def test_what_cannot_be_ordered_is_told(x, y):
    with pytest.raises(ValueError, match="at least 2, got"):
        kendall_tau(x, y)
