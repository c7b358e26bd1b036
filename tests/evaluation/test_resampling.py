"""Mirrors cifar_lessons/evaluation/resampling.py."""

import numpy as np
import pytest
from scipy import stats

from cifar_lessons.evaluation.metrics import (
    Predictions,
    accuracy,
    mean_interval,
    negative_log_likelihood,
    paired_difference,
)
from cifar_lessons.evaluation.resampling import bootstrap


def network(images: int = 1_500, *, seed: int = 0, skill: float = 1.5) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % 10
    hardness = np.random.default_rng(99).normal(size=images)  # the same for every network
    logits = rng.normal(size=(images, 10))
    logits[np.arange(images), labels] += skill + hardness
    return Predictions(logits, labels)


def test_for_the_accuracy_of_one_run_it_agrees_with_the_formula():
    p = network()
    found, formula = bootstrap([p], accuracy, draws=800), mean_interval([p])
    assert found.value == accuracy(p)
    assert found.draws.shape == (800,)
    assert (found.low, found.high) == pytest.approx((formula.low, formula.high), abs=0.004)


def test_over_seeds_it_is_wider_and_agrees_with_scipy_on_seeds_alone():
    runs = [network(seed=s, skill=skill) for s, skill in enumerate((0.9, 1.5, 2.1))]
    found = bootstrap(runs, accuracy, draws=600)
    one = bootstrap(runs[:1], accuracy, draws=600)
    assert found.high - found.low > 2 * (one.high - one.low)
    # The seeds differ by far more than the images do, so resampling the seeds is nearly all.
    theirs = stats.bootstrap(
        ([accuracy(r) for r in runs],), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(theirs), abs=0.02)


def test_it_serves_any_metric():
    p = network()
    found = bootstrap([p], negative_log_likelihood, draws=300)
    z = p.logits.astype(float)
    losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), p.labels]
    half = 1.96 * losses.std() / np.sqrt(len(z))
    assert found.value == pytest.approx(losses.mean(), rel=1e-6)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)


def test_a_difference_is_drawn_on_the_same_images_for_both():
    first = [network(seed=s) for s in range(2)]
    second = [network(seed=s + 50, skill=1.7) for s in range(2)]
    found = bootstrap(second, accuracy, minus=first, draws=400)
    paired = paired_difference(first, second)
    assert found.value == pytest.approx(paired.mean)
    same = bootstrap(first, accuracy, minus=first, draws=20)
    assert (same.low, same.high) == (0, 0)


def test_the_same_seed_draws_the_same_and_the_level_widens():
    p = network(300)
    first, again = (bootstrap([p], accuracy, draws=50).draws for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, bootstrap([p], accuracy, draws=50, seed=1).draws)
    wide, narrow = (bootstrap([p], accuracy, draws=200, level=v) for v in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: bootstrap([], accuracy), "at least one run is needed, got 0"),
        (lambda p: bootstrap([p], accuracy, draws=0), "draws must be >= 1, got 0"),
        (lambda p: bootstrap([p], accuracy, level=95), r"level must lie in \(0, 1\), got 95"),
        (lambda p: bootstrap([p], accuracy, minus=[p, p]), "got 1 and 2 runs; keep the seeds"),
        (lambda p: bootstrap([p, network(40)], accuracy), "run 1 was scored on other images"),
        (lambda p: bootstrap([p], accuracy, minus=[network(40)]), "score all on one test set"),
    ],
)
def test_mistakes_name_the_value_and_the_mend(call, message):
    with pytest.raises(ValueError, match=message):
        call(network(50))
