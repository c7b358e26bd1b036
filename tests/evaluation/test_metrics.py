"""Mirrors cifar_lessons/evaluation/metrics.py."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from cifar_lessons.evaluation.metrics import (
    Estimate,
    Predictions,
    accuracy,
    confusion,
    holm,
    mcnemar,
    mean_interval,
    negative_log_likelihood,
    paired_difference,
    per_class_accuracy,
    wilson_interval,
)

K = 10


def made_up(images: int = 600, seed: int = 0, skill: float = 1.5) -> Predictions:
    """Random logits that lean towards the right class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % K
    logits = rng.normal(size=(images, K))
    logits[np.arange(images), labels] += skill
    return Predictions(logits.astype(np.float32), labels)


def from_answers(right: np.ndarray) -> Predictions:
    """Two-class predictions that are right exactly where `right` is true; label 0 everywhere."""
    logits = np.stack([right, ~right], axis=1).astype(np.float32)
    return Predictions(logits, np.zeros(len(right), np.int64))


# Agreement with scikit-learn.


def test_accuracy_confusion_and_likelihood_agree_with_scikit_learn():
    p = made_up()
    assert accuracy(p) == oracle.accuracy_score(p.labels, p.predicted)
    assert np.array_equal(confusion(p), oracle.confusion_matrix(p.labels, p.predicted))
    soft = np.exp(p.logits.astype(float))
    soft /= soft.sum(axis=1, keepdims=True)
    assert negative_log_likelihood(p) == pytest.approx(oracle.log_loss(p.labels, soft), rel=1e-9)
    recall = oracle.recall_score(p.labels, p.predicted, average=None)
    assert per_class_accuracy(p) == pytest.approx(recall)


def test_confusion_counts_true_classes_in_rows_and_keeps_unused_classes():
    logits = np.eye(3, dtype=np.float32)[[1, 1, 0]]  # says 1, 1, 0
    p = Predictions(logits, np.array([0, 1, 0]))
    assert confusion(p).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_likelihood_survives_large_logits_and_is_ln_k_for_a_blind_guess():
    labels = np.array([0, 1])
    sure = Predictions(np.array([[5e4, 0.0], [0.0, 5e4]], np.float32), labels)
    blind = Predictions(np.zeros((2, 2), np.float32), labels)
    assert negative_log_likelihood(sure) == 0.0
    assert negative_log_likelihood(blind) == pytest.approx(math.log(2))


# Predictions.


def test_predictions_take_stored_half_precision_and_cannot_be_changed():
    stored = np.array([[0.5, 1.5], [2.0, 1.0]], np.float16)
    p = Predictions(stored, np.array([1, 0], np.uint8))
    assert (p.logits.dtype, p.labels.dtype, len(p)) == (np.float32, np.int64, 2)
    with pytest.raises(ValueError, match="read-only"):
        p.logits[0, 0] = 9
    stored[0, 0] = 3.0  # the caller's own array stays theirs


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros(4), np.zeros(4, int), r"logits must be \(N, K\) with K >= 2, got \(4,\)"),
        (np.zeros((4, 1)), np.zeros(4, int), r"got \(4, 1\); keep all classes"),
        (np.zeros((0, 2)), np.zeros(0, int), r"got \(0, 2\)"),
        (np.zeros((4, 2)), np.zeros(3, int), r"labels must be \(4,\).*got \(3,\); take both"),
        (np.zeros((2, 2)), np.zeros(2), "whole numbers, got float64; use astype"),
        (np.array([[0, 1], [0, np.nan]]), np.zeros(2, int), r"1 of 2 rows \(first: row 1, .*nan"),
        (np.array([[0, np.inf]]), np.zeros(1, int), r"first: row 0.*lower optim.peak_lr"),
        (np.zeros((3, 2)), np.array([0, 2, 1]), r"in \[0, 2\), got 2 in row 1.*num_classes >= 3"),
        (np.zeros((2, 2)), np.array([0, -1]), "got -1 in row 1"),
    ],
)
def test_wrong_predictions_name_the_value_and_the_mend(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        Predictions(logits, labels)


def test_a_class_without_images_has_no_accuracy():
    p = Predictions(np.zeros((2, 3), np.float32), np.array([0, 2]))
    with pytest.raises(ValueError, match="class 1 has no image among 2"):
        per_class_accuracy(p)


# Intervals.


@pytest.mark.parametrize(("right", "images"), [(0, 20), (7, 20), (20, 20), (9_250, 10_000)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_wilson_agrees_with_scipy(right, images, level):
    theirs = stats.binomtest(right, images).proportion_ci(level, method="wilson")
    assert wilson_interval(right, images, level=level) == pytest.approx(tuple(theirs), abs=1e-12)


def answers(rng, *, seeds, images, image_spread, seed_spread, shift=0.7):
    """Right or wrong for seeds x images, and the true mean accuracy over all of both (probit)."""
    latent = shift + image_spread * rng.standard_normal(images)
    latent = latent + seed_spread * rng.standard_normal((seeds, 1))
    table = latent + rng.standard_normal((seeds, images)) > 0
    truth = stats.norm.cdf(shift / math.sqrt(1 + image_spread**2 + seed_spread**2))
    return [from_answers(row) for row in table], truth


@pytest.mark.parametrize(
    ("seeds", "image_spread", "seed_spread"),
    [(1, 2.0, 0.0), (3, 2.0, 0.0), (3, 2.0, 0.1), (3, 0.1, 0.3), (5, 2.0, 0.05)],
)
def test_the_interval_holds_the_truth_in_95_of_100_simulated_studies(
    seeds, image_spread, seed_spread
):
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(1_500):
        runs, truth = answers(
            rng, seeds=seeds, images=300, image_spread=image_spread, seed_spread=seed_spread
        )
        found = mean_interval(runs)
        hits += found.low <= truth <= found.high
    # 0.95 less 2.7 standard errors of the simulation; a little wide is allowed.
    assert 0.935 <= hits / 1_500 <= 0.995


def test_seeds_alone_or_pooled_images_alone_would_be_too_sure():
    """The reason for the two-way model: both shortcuts miss the truth far too often."""
    rng = np.random.default_rng(2)
    seeds_only = pooled = 0
    for _ in range(400):
        runs, truth = answers(rng, seeds=5, images=300, image_spread=2.0, seed_spread=0.05)
        values = [accuracy(r) for r in runs]
        reach = stats.t.ppf(0.975, 4) * np.std(values, ddof=1) / math.sqrt(5)
        seeds_only += abs(np.mean(values) - truth) <= reach
        low, high = wilson_interval(round(np.mean(values) * 1500), 1500)
        pooled += low <= truth <= high
    assert seeds_only / 400 < 0.8
    assert pooled / 400 < 0.8


def test_the_image_part_stays_when_seeds_are_added_and_the_seed_part_shrinks():
    rng = np.random.default_rng(3)
    runs, _ = answers(rng, seeds=40, images=2_000, image_spread=2.0, seed_spread=0.1)
    few, many = mean_interval(runs[:10]), mean_interval(runs)
    assert many.image_variance == pytest.approx(few.image_variance, rel=0.2)
    assert many.seed_variance < 0.5 * few.seed_variance


def test_the_toss_of_each_answer_is_not_counted_as_images_too():
    rng = np.random.default_rng(6)
    alike = [from_answers(rng.random(2_000) < 0.7) for _ in range(5)]  # no image is harder
    assert mean_interval(alike).image_variance < 0.02 * 0.7 * 0.3 / 2_000


def test_without_images_that_differ_it_is_the_t_interval_of_the_seeds():
    # Every image is equally hard: 60, 62 and 64 of 100 right, spread by the seeds' own draws.
    values = [0.60, 0.62, 0.64]
    estimate = Estimate(0.62, 3, float(np.var(values, ddof=1)) / 3, 0.0)
    low, high = stats.t.interval(0.95, 2, 0.62, stats.sem(values))
    assert (estimate.low, estimate.high) == pytest.approx((low, high))
    t_test = stats.ttest_1samp(values, 0.6)
    assert estimate.p_value(0.6) == pytest.approx(t_test.pvalue, rel=1e-6)


def test_one_seed_covers_test_images_only_and_says_so():
    one = mean_interval([from_answers(np.arange(10_000) < 9_250)])
    low, high = wilson_interval(9_250, 10_000)
    assert (one.low, one.high) == pytest.approx((low, high), abs=2e-4)
    assert "test images only" in one.covers
    assert mean_interval([made_up(seed=0), made_up(seed=1)]).covers == "seeds and test images"


def test_p_value_and_interval_agree():
    runs = [made_up(seed=s) for s in range(3)]
    estimate = mean_interval(runs)
    assert estimate.p_value(estimate.low) == pytest.approx(0.05, rel=1e-6)
    assert estimate.p_value(estimate.mean) == 1.0
    assert mean_interval(runs, level=0.99).half_width > estimate.half_width


# Comparisons.


def test_pairing_finds_a_difference_that_two_intervals_would_hide():
    rng = np.random.default_rng(4)
    hard = rng.random((1, 4_000)) < 0.3  # the same images are hard for everybody
    first = [from_answers(r) for r in ~hard & (rng.random((4, 4_000)) < 0.95)]
    second = [from_answers(r) for r in ~hard & (rng.random((4, 4_000)) < 0.97)]
    difference = paired_difference(first, second)
    assert difference.low > 0
    assert difference.mean == pytest.approx(0.7 * 0.02, abs=0.005)
    assert mean_interval(first).high > mean_interval(second).low
    swapped = paired_difference(second, first)
    assert (swapped.low, swapped.high) == pytest.approx((-difference.high, -difference.low))


def test_equal_recipes_are_called_different_in_about_5_of_100_studies():
    rng = np.random.default_rng(5)
    false_calls = 0
    for _ in range(300):
        runs, _ = answers(rng, seeds=6, images=300, image_spread=2.0, seed_spread=0.1)
        false_calls += paired_difference(runs[:3], runs[3:]).p_value() < 0.05
    assert false_calls / 300 <= 0.08


def test_a_recipe_against_itself_differs_by_exactly_nothing():
    runs = [made_up(seed=s) for s in range(3)]
    same = paired_difference(runs, runs)
    assert (same.mean, same.low, same.high, same.p_value()) == (0, 0, 0, 1)


def test_mcnemar_is_the_exact_binomial_test_on_the_images_that_differ():
    both = np.ones(50, bool)
    first = from_answers(np.concatenate([both, np.ones(12, bool), np.zeros(3, bool)]))
    second = from_answers(np.concatenate([both, np.zeros(12, bool), np.ones(3, bool)]))
    result = mcnemar(first, second)
    assert (result.only_first, result.only_second) == (12, 3)
    assert result.p_value == pytest.approx(stats.binomtest(3, 15).pvalue)
    assert mcnemar(first, first).p_value == 1.0


def test_holm_by_hand():
    # Sorted 0.01, 0.02, 0.04 times 3, 2, 1, never falling.
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([]), "at least one run is needed, got 0"),
        (lambda: mean_interval([made_up(), made_up(images=50)]), r"run 1 was .*50 and 600 images"),
        (lambda: paired_difference([made_up()], []), "got 1 and 0 runs; keep the seeds"),
        (lambda: mcnemar(made_up(), made_up(images=50)), "score all on one test set"),
        (lambda: mean_interval([made_up(images=1)]), "at least 2 images are needed, got 1"),
        (lambda: mean_interval([made_up()], level=95), r"level must lie in \(0, 1\), got 95"),
        (lambda: wilson_interval(3, 2), "got 3 of 2"),
        (lambda: wilson_interval(0, 0), "got 0 of 0"),
    ],
)
def test_wrong_comparisons_name_the_value_and_the_mend(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("compare", [mean_interval, lambda one: paired_difference(one, one)])
def test_one_network_comes_in_a_list(compare):
    with pytest.raises(TypeError, match=r"one entry a seed: \[predictions\] for a single network"):
        compare(made_up())


def test_metrics_work_where_there_is_no_torch(without_torch):
    code = (
        "import numpy as np\n"
        "from cifar_lessons.evaluation import metrics as m\n"
        "p = m.Predictions(np.eye(4, dtype='float32'), np.arange(4))\n"
        "assert m.accuracy(p) == m.mean_interval([p, p]).mean == 1.0\n"
        "assert 'sklearn' not in sys.modules\n"
    )
    without_torch(code)


def test_seeds_that_agree_exactly_have_a_p_value():
    """Of two seeds the t quantile reaches 1e300, whose square is no float."""
    assert Estimate(0.1, 2, 0.0, 1e-7, 0.95).p_value() < 1e-6
    assert Estimate(0.1, 2, 0.0, 0.0, 0.95).p_value() < 1e-200
    assert Estimate(0.1, 2, 1e-300, 0.0, 0.95).p_value() < 0.05
