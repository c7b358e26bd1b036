"""Mirrors cifar_lessons/evaluation/cross_validation.py: formulas by hand, coverage simulated."""

import math

import numpy as np
import pytest
from scipy import stats

from cifar_lessons.evaluation.cross_validation import fold_mean, spread

FIVE = [0.78, 0.80, 0.79, 0.77, 0.81]


def test_both_standard_errors_are_those_of_the_formula():
    s = np.std(FIVE, ddof=1)
    naive = fold_mean(FIVE, n_train=40_000, n_test=10_000, corrected=False)
    honest = fold_mean(FIVE, n_train=40_000, n_test=10_000)
    assert naive.mean == honest.mean == pytest.approx(0.79)
    assert naive.standard_error == pytest.approx(s / math.sqrt(5))
    assert honest.standard_error == pytest.approx(s * math.sqrt(1 / 5 + 1 / 4))
    assert honest.standard_error / naive.standard_error == pytest.approx(1.5)
    low, high = stats.t.interval(0.95, 4, loc=0.79, scale=s / math.sqrt(5))
    assert (naive.low, naive.high) == pytest.approx((low, high))


def test_repeats_shrink_the_naive_error_to_nothing_and_not_the_corrected_one():
    def width(times: int, corrected: bool) -> float:
        many = fold_mean(FIVE * times, n_train=4, n_test=1, corrected=corrected)
        return many.half_width

    assert width(100, False) < width(1, False) / 10
    assert width(100, True) > width(1, True) / 3


# Nearest class mean on two noisy clouds: a learner whose true accuracy can be computed.


def clouds(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % 2
    points = rng.normal(size=(n, 10))
    points[:, 0] += labels
    return points, labels


def accuracy(train, test) -> float:
    (x, y), (x_test, y_test) = train, test
    first, second = x[y == 0].mean(0), x[y == 1].mean(0)
    closer = ((x_test - second) ** 2).sum(1) < ((x_test - first) ** 2).sum(1)
    return float((closer == y_test).mean())


def folds_of(x, y, folds: int, rng: np.random.Generator) -> list[float]:
    order = rng.permutation(len(y))
    found = []
    for held_out in np.array_split(order, folds):
        rest = np.setdiff1d(order, held_out)
        found.append(accuracy((x[rest], y[rest]), (x[held_out], y[held_out])))
    return found


@pytest.mark.parametrize(("repeats", "naive_at_most"), [(1, 0.90), (4, 0.70)])
def test_the_corrected_interval_covers_and_the_naive_one_does_not(repeats, naive_at_most):
    rng = np.random.default_rng(0)
    many = clouds(4_000, rng)
    truth = np.mean([accuracy(clouds(32, rng), many) for _ in range(200)])
    hits = {True: 0, False: 0}
    sets = 300
    for _ in range(sets):
        x, y = clouds(40, rng)
        values = np.concatenate([folds_of(x, y, 5, rng) for _ in range(repeats)])
        for corrected in hits:
            found = fold_mean(values, n_train=32, n_test=8, corrected=corrected)
            hits[corrected] += found.low <= truth <= found.high
    assert hits[True] / sets >= 0.92
    assert hits[False] / sets <= naive_at_most


# --- spread ---------------------------------------------------------------------------------------


def repeats_of(rng, *, correlation: float, repeats: int = 8, folds: int = 5, sd: float = 1.0):
    """Normal accuracies with that correlation of two folds of a repeat."""
    cov = np.full((folds, folds), correlation) + (1 - correlation) * np.eye(folds)
    return 0.8 + 0.01 * sd * rng.multivariate_normal(np.zeros(folds), cov, size=repeats)


def test_spread_is_that_of_an_analysis_of_variance():
    table = repeats_of(np.random.default_rng(0), correlation=0.2)
    found = spread(table)
    f = stats.f_oneway(*table).statistic  # repeats are the groups
    assert found.ratio == pytest.approx(math.sqrt(1 + 4 / f))
    assert found.correlation == pytest.approx((f - 1) / (f + 4))
    assert found.mean == pytest.approx(table.mean(axis=1).std(ddof=1))
    assert found.difference == pytest.approx(found.single - found.mean)
    assert found.ratio == pytest.approx(found.single / found.mean)
    assert (found.repeats, found.folds) == (8, 5)
    for value, (low, high) in (
        (found.ratio, found.ratio_interval),
        (found.difference, found.difference_interval),
    ):
        assert low < value < high


def test_the_interval_of_the_ratio_is_that_of_the_f_distribution():
    table = repeats_of(np.random.default_rng(1), correlation=-0.1)
    found = spread(table)
    f = (found.ratio**2 - 1) / 4  # mean square within over that between
    ends = [math.sqrt(1 + 4 * f / stats.f.ppf(p, 32, 7)) for p in (0.975, 0.025)]
    assert found.ratio_interval == pytest.approx(ends, rel=0.02)


@pytest.mark.parametrize("correlation", [-0.2, 0.0, 0.5])
def test_both_intervals_cover(correlation):
    rng = np.random.default_rng(2)
    single, mean = 0.01, 0.01 * math.sqrt((1 + 4 * correlation) / 5)
    hits, sets = np.zeros(2), 300
    for _ in range(sets):
        found = spread(repeats_of(rng, correlation=correlation), draws=2_000)
        for k, (truth, (low, high)) in enumerate(
            [(single - mean, found.difference_interval), (single / mean, found.ratio_interval)]
        ):
            hits[k] += low <= truth <= high
    assert hits.min() / sets >= 0.92, hits / sets


def test_the_standard_deviation_of_a_single_split_and_the_correlation_are_estimated():
    rng = np.random.default_rng(3)
    for correlation in (-0.2, 0.0, 0.5):
        found = spread(repeats_of(rng, correlation=correlation, repeats=2_000), draws=10)
        assert found.correlation == pytest.approx(correlation, abs=0.05)
        assert found.single == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: fold_mean([0.8], n_train=4, n_test=1), r"J >= 2, got \(1,\)"),
        (lambda: fold_mean([[0.8, 0.7]], n_train=4, n_test=1), r"got \(1, 2\)"),
        (lambda: fold_mean(FIVE, n_train=0, n_test=1), "must be >= 1, got 0 and 1"),
        (lambda: spread([FIVE]), r"R >= 2 repeats of K >= 2 folds, got \(1, 5\)"),
        (lambda: spread([[0.8, 0.8], [0.8, 0.8]]), "nothing spreads"),
        (lambda: spread([FIVE, FIVE]), "nothing spreads"),
    ],
)
def test_mistakes_name_the_value(call, said):
    with pytest.raises(ValueError, match=said):
        call()
