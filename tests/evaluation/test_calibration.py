"""Mirrors cifar_lessons/evaluation/calibration.py."""

import math

import numpy as np
import pytest
from scipy import special
from sklearn import metrics as oracle

from cifar_lessons.evaluation.calibration import (
    brier_score,
    confidence,
    error_by_chance,
    expected_calibration_error,
    fit_temperature,
    reliability,
    scaled,
    softmax,
)
from cifar_lessons.evaluation.metrics import Predictions, accuracy, negative_log_likelihood


def honest(images: int = 20_000, *, seed: int = 0, sharpness: float = 2.0) -> Predictions:
    """Predictions whose confidence is right: labels are drawn from their own probabilities."""
    rng = np.random.default_rng(seed)
    logits = (sharpness * rng.normal(size=(images, 10))).astype(np.float32)
    below = softmax(logits).cumsum(axis=1) < rng.random((images, 1))
    return Predictions(logits, below.sum(axis=1).clip(0, 9))


def two_sure(right: list[bool], sure: list[float]) -> Predictions:
    """Two-class predictions of class 0 with these confidences, right where `right` says so."""
    p = np.array(sure)
    logits = np.stack([np.log(p), np.log1p(-p)], axis=1)
    return Predictions(logits, np.where(right, 0, 1))


# Agreement with others.


def test_softmax_agrees_with_scipy_and_survives_large_logits():
    logits = np.random.default_rng(0).normal(size=(50, 7)) * 30
    assert softmax(logits) == pytest.approx(special.softmax(logits, axis=1))
    assert softmax(np.array([[5e4, 0.0]])).tolist() == [[1.0, 0.0]]


def test_brier_agrees_with_scikit_learn():
    p = honest(500)
    theirs = oracle.brier_score_loss(
        p.labels, softmax(p.logits), labels=np.arange(10), scale_by_half=False
    )
    assert brier_score(p) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("bins", [1, 10, 15, 40])
@pytest.mark.parametrize("sharpness", [0.3, 2.0, 8.0])
def test_the_calibration_error_agrees_with_torchmetrics(bins, sharpness):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("torchmetrics.functional.classification")
    p = scaled(honest(3_000, sharpness=sharpness), 0.6)
    found = theirs.multiclass_calibration_error(
        torch.from_numpy(softmax(p.logits)).float(),
        torch.from_numpy(p.labels.copy()),
        num_classes=10,
        n_bins=bins,
        norm="l1",
    )
    assert expected_calibration_error(p, bins=bins) == pytest.approx(found.item(), abs=2e-6)


# By hand.


def test_the_error_is_the_mean_gap_of_the_bins_weighted_by_images():
    # Bin 0.6-0.7: three images at 0.6, one of them right. Bin 0.9-1: one at 0.95, right.
    p = two_sure([True, False, False, True], [0.62, 0.62, 0.62, 0.95])
    found = reliability(p, bins=10)
    assert found.counts.tolist() == [0, 0, 0, 0, 0, 0, 3, 0, 0, 1]
    assert found.accuracy[6] == pytest.approx(1 / 3)
    assert found.confidence[6] == pytest.approx(0.62)
    assert np.isnan(found.accuracy[0])
    assert found.error == pytest.approx(0.75 * (0.62 - 1 / 3) + 0.25 * 0.05)


def test_adaptive_bins_hold_equally_many_images_and_cover_them_all():
    p = honest(1_003, sharpness=6.0)
    found = reliability(p, bins=10, adaptive=True)
    assert sorted(set(found.counts.tolist())) == [100, 101]
    assert found.counts.sum() == 1_003
    assert (np.diff(found.edges) >= 0).all()
    assert found.edges[0] == confidence(p).min()
    assert found.edges[-1] == confidence(p).max()
    for k, mean in enumerate(found.confidence):
        assert found.edges[k] <= mean <= found.edges[k + 1]
    equal = reliability(p, bins=10)
    assert equal.counts.max() > 2 * equal.counts[equal.counts > 0].min()


def test_one_bin_asks_only_whether_confidence_is_right_on_average():
    p = scaled(honest(), 0.5)
    gap = abs(accuracy(p) - confidence(p).mean())
    for adaptive in (False, True):
        assert expected_calibration_error(p, bins=1, adaptive=adaptive) == pytest.approx(gap)


def test_the_blind_and_the_perfect_guess():
    labels = np.arange(10)
    blind, sure = Predictions(np.zeros((10, 10)), labels), Predictions(99 * np.eye(10), labels)
    assert brier_score(blind) == pytest.approx(0.9)
    assert brier_score(sure) == pytest.approx(0.0)
    wrong = Predictions(99 * np.eye(10), (labels + 1) % 10)
    assert brier_score(wrong) == pytest.approx(2.0)
    assert expected_calibration_error(blind) == pytest.approx(0.0)  # 10 % sure, 10 % right
    assert expected_calibration_error(wrong) == pytest.approx(1.0)


# What chance does.


@pytest.mark.parametrize("adaptive", [False, True])
def test_perfect_confidence_has_an_error_above_zero_that_the_simulation_foresees(adaptive):
    found = [
        expected_calibration_error(honest(2_000, seed=s), adaptive=adaptive) for s in range(40)
    ]
    foreseen = error_by_chance(honest(2_000, seed=99), adaptive=adaptive)
    assert min(found) > 0
    assert np.mean(found) == pytest.approx(foreseen.mean(), rel=0.1)
    assert foreseen.shape == (200,)
    overconfident = scaled(honest(2_000), 0.5)
    chance = error_by_chance(overconfident, adaptive=adaptive)
    assert expected_calibration_error(overconfident, adaptive=adaptive) > chance.max()


def test_more_images_make_chance_smaller():
    few, many = (error_by_chance(honest(n)).mean() for n in (500, 20_000))
    assert many < 0.3 * few


# Temperature.


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(temperature):
    distorted = scaled(honest(), temperature)  # to undo it, multiply by it
    found = fit_temperature(distorted)
    assert found == pytest.approx(1 / temperature, rel=0.05)
    mended = scaled(distorted, found)
    assert expected_calibration_error(mended) < 0.012
    assert negative_log_likelihood(mended) <= negative_log_likelihood(distorted)
    assert accuracy(mended) == accuracy(distorted)
    assert np.array_equal(mended.predicted, distorted.predicted)


def test_no_temperature_near_the_found_one_is_better():
    p = scaled(honest(3_000), 0.7)
    found = fit_temperature(p)
    best = negative_log_likelihood(scaled(p, found))
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert negative_log_likelihood(scaled(p, factor * found)) > best


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: reliability(honest(20), bins=0), "bins must be >= 1, got 0; 15 is the default"),
        (
            lambda: expected_calibration_error(honest(9), bins=10, adaptive=True),
            "10 adaptive bins need as many images, got 9; use fewer bins",
        ),
        (lambda: error_by_chance(honest(20), draws=0), "draws must be >= 1, got 0"),
        (lambda: scaled(honest(9), 0.0), "temperature must be > 0 and finite, got 0.0"),
        (lambda: scaled(honest(9), math.inf), "got inf"),
        (
            lambda: fit_temperature(Predictions(np.eye(10), np.arange(10))),
            r"no temperature in \[0.05, 20.0\].*10 images, of which 10 .* more validation images",
        ),
    ],
)
def test_mistakes_name_the_value_and_the_mend(call, message):
    with pytest.raises(ValueError, match=message):
        call()
