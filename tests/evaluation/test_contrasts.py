"""Mirrors cifar_lessons/evaluation/contrasts.py."""

import numpy as np
import pytest
from scipy import stats

from cifar_lessons.evaluation.contrasts import class_intervals, contrast, gap_weights, of_class
from cifar_lessons.evaluation.metrics import Predictions, per_class_accuracy, wilson_interval

GAP = gap_weights(0, (1, 2))


def study(rng, *, seeds: int, images: int = 200, seed_spread: float = 0.0, shift: float = 0.0):
    """Runs of a network of three classes, of which 0 is the easiest; and the true gap (probit)."""
    labels = np.repeat([0, 1, 2], images)
    ease = np.array([1.6, 0.8, 0.6]) + shift
    hardness = rng.standard_normal(len(labels))
    tilt = seed_spread * rng.standard_normal((seeds, 3))  # a seed may favour a class
    latent = ease[labels] + tilt[:, labels] + hardness + rng.standard_normal((seeds, len(labels)))
    said = np.where(latent > 0, labels, (labels + 1) % 3)
    means = stats.norm.cdf(ease / np.sqrt(2 + seed_spread**2))
    return [Predictions(np.eye(3)[row], labels) for row in said], means[0] - means[1:].mean()


def test_the_gap_is_the_difference_of_class_accuracies():
    runs, _ = study(np.random.default_rng(0), seeds=3)
    found = contrast(runs, GAP)
    by_class = np.array([per_class_accuracy(run) for run in runs])
    gaps = by_class[:, 0] - by_class[:, 1:].mean(axis=1)
    assert found.mean == pytest.approx(gaps.mean())
    assert found.seed_variance == pytest.approx(gaps.var(ddof=1) / 3)
    assert found.n == 3
    assert GAP == {0: 1.0, 1: -0.5, 2: -0.5}


def test_with_one_seed_it_is_the_sum_of_independent_proportions():
    [run], _ = study(np.random.default_rng(1), seeds=1)
    p = per_class_accuracy(run)
    by_hand = (p * (1 - p) / 199) @ np.array([1, 0.25, 0.25])
    found = contrast([run], GAP)
    assert found.image_variance == pytest.approx(by_hand)
    assert found.seed_variance == 0
    assert "test images only" in found.covers


@pytest.mark.parametrize(("seeds", "seed_spread"), [(1, 0.0), (3, 0.0), (3, 0.3), (5, 0.1)])
def test_the_interval_holds_the_truth_in_95_of_100_simulated_studies(seeds, seed_spread):
    rng, hits = np.random.default_rng(2), 0
    for _ in range(500):
        runs, truth = study(rng, seeds=seeds, seed_spread=seed_spread)
        found = contrast(runs, GAP)
        hits += found.low <= truth <= found.high
    assert 0.925 <= hits / 500 <= 1.0  # 0.95 less 2.6 standard errors of the simulation


def test_pairing_takes_out_the_images_that_both_recipes_find_hard():
    rng = np.random.default_rng(3)
    runs, _ = study(rng, seeds=1, images=2_000)
    labels = runs[0].labels
    worse = runs[0].predicted.copy()
    worse[labels > 0] = np.where(
        rng.random(4_000) < 0.1, (labels[labels > 0] + 1) % 3, worse[labels > 0]
    )
    other = [Predictions(np.eye(3)[worse], labels)]
    paired = contrast(other, GAP, minus=runs)
    apart = contrast(other, GAP), contrast(runs, GAP)
    assert paired.mean == pytest.approx(apart[0].mean - apart[1].mean)
    assert paired.low > 0
    assert paired.image_variance < 0.3 * sum(e.image_variance for e in apart)
    same = contrast(runs, GAP, minus=runs)
    assert (same.mean, same.half_width) == (0, 0)


def test_class_intervals_are_wilsons_on_the_images_of_each_class():
    [run], _ = study(np.random.default_rng(4), seeds=1)
    values, ends = class_intervals(run)
    assert values == pytest.approx(per_class_accuracy(run))
    for value, interval in zip(values, ends, strict=True):
        assert tuple(interval) == wilson_interval(round(value * 200), 200)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda p: of_class(p, 1),
            r"class 1 has no image among 4; evaluate on the whole split, or take one of \[0, 2\]",
        ),
        (lambda p: class_intervals(p), "class 1 has no image"),
        (lambda p: contrast([p], {0: 1.0, 1: -1.0}), "class 1 has no image"),
        (lambda p: contrast([], {0: 1.0}), "at least one run is needed, got 0"),
        (lambda p: contrast([p, p], {0: 1.0}, minus=[p]), "got 1 and 2 runs"),
    ],
)
def test_mistakes_name_the_value_and_the_mend(call, message):
    p = Predictions(np.eye(3)[[0, 0, 2, 2]], np.array([0, 0, 2, 2]))
    with pytest.raises(ValueError, match=message):
        call(p)


def test_runs_in_another_order_are_refused():
    """Within a class all labels are equal, so only the whole order shows it."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    run = Predictions(rng.normal(size=(60, 3)), labels)
    order = rng.permutation(60)
    other = Predictions(run.logits[order], labels[order])
    for call in (
        lambda: contrast([run, other], {0: 1.0}),
        lambda: contrast([run], {0: 1.0}, minus=[other]),
    ):
        message = r"run 1 was scored on other images than run 0 .* in one order"
        with pytest.raises(ValueError, match=message):
            call()
