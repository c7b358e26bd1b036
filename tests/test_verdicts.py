"""Mirrors cifar_lessons/verdicts.py: every rule can end each way that it says."""

from dataclasses import replace

import numpy as np
import pytest

from cifar_lessons.claims import load_claims
from cifar_lessons.evaluation.metrics import Estimate, Predictions
from cifar_lessons.verdicts import JUDGES, Claim, Evidence, at_least, equals, sides

CLAIMS = {claim.id: claim for claim in load_claims()}
IMAGES = 10_000


def runs(accuracy: float, seeds: int, *, salt: int = 0) -> dict[int, Predictions]:
    """Runs with about that accuracy; the same images are hard for all of them."""
    hardness = np.random.default_rng(0).permutation(IMAGES) / IMAGES
    found = {}
    for seed in range(seeds):
        noise = np.random.default_rng([seed, salt]).normal(size=IMAGES)
        right = hardness + 0.02 * noise < accuracy
        found[seed] = Predictions(np.stack([right, ~right], 1), np.zeros(IMAGES, np.int64))
    return found


def evidence(accuracies: dict[str, float], seeds: int = 5, **more) -> Evidence:
    predictions = {
        name: runs(accuracy, seeds, salt=salt)
        for salt, (name, accuracy) in enumerate(accuracies.items())
    }
    return Evidence(predictions, **more)


def judge(name: str, found: Evidence, claim: Claim | None = None):
    return JUDGES[name](claim or CLAIMS[name], found)


def sure(mean: float, half_width: float = 0.005) -> Estimate:
    """An estimate whose 95 % interval has that half-width, from images alone."""
    return Estimate(mean, 5, 0.0, (half_width / 1.959964) ** 2)


# Rules.


@pytest.mark.parametrize(
    ("mean", "verdict", "words"),
    [
        (0.7201, "reproduced", "lies above 71.5 %"),
        (0.7151, "open", "holds 71.5 %"),
        (0.7149, "open", "holds 71.5 %"),
        (0.7099, "corrected", "lies below 71.5 %"),
    ],
)
def test_at_least_begins_half_a_unit_below_the_printed_number(mean, verdict, words):
    found, reason = at_least(CLAIMS["C05"], sure(mean))
    assert found == verdict
    assert words in reason


@pytest.mark.parametrize(
    ("mean", "half_width", "verdict"),
    [
        (0.140, 0.005, "reproduced"),
        (0.149, 0.005, "reproduced"),  # the interval still meets 14.5
        (0.151, 0.005, "corrected"),
        (0.129, 0.005, "corrected"),
        (0.140, 0.011, "open"),  # wider than the article's own precision: it could be anything
        (0.200, 0.011, "corrected"),
    ],
)
def test_equals_needs_an_interval_that_meets_the_number_and_can_tell(mean, half_width, verdict):
    assert equals(CLAIMS["C08"], sure(mean, half_width))[0] == verdict


def test_sides_are_corrected_for_their_number():
    almost = Estimate(0.022, 5, 0.0, 0.01**2)  # p = 0.028
    clear = Estimate(-0.05, 5, 0.0, 0.01**2)
    assert sides([almost], 0.0) == ["above"]
    assert sides([almost, almost], 0.0) == ["unclear", "unclear"]
    assert sides([almost, clear], 0.0) == ["above", "below"]  # Holm: the second is held to 0.05


# Judges.

FACTS = {
    "images": 60_000,
    "train_images": 50_000,
    "test_images": 10_000,
    "classes": 10,
    "shape": [3, 32, 32],
    "train_per_class": 5_000,
    "test_per_class": 1_000,
    "duplicates": {"within_train": 0, "within_test": 0, "test_in_train": 0, "test_near_train": 94},
    "mean": [0.49140, 0.48216, 0.44653],
    "std": [0.24703, 0.24349, 0.26159],
    "image_std": [0.2023, 0.1994, 0.2010],
}


def test_c01_compares_every_count():
    right = judge("C01", Evidence(studies={"data_facts": FACTS}))
    assert right.verdict == "reproduced"
    assert "CIFAR-100 is not counted yet" in right.reason
    assert any("94 test images" in line for line in right.details)
    wrong = judge("C01", Evidence(studies={"data_facts": {**FACTS, "test_images": 9_999}}))
    assert (wrong.verdict, "test_images is 9999, not 10000" in wrong.reason) == ("corrected", True)
    for classes, verdict in ((100, "reproduced"), (20, "corrected")):
        studies = {"data_facts": FACTS, "data_facts_cifar100": {"classes": classes}}
        both = judge("C01", Evidence(studies=studies))
        assert both.verdict == verdict
        assert "not counted" not in both.reason


C02_ARMS = ("simple_cnn", "simple_cnn_truncated_std", "simple_cnn_wrong_std")


def test_c02_finds_the_digit_that_was_cut_off_and_no_effect():
    found = judge("C02", evidence(dict.fromkeys(C02_ARMS, 0.75), 3, studies={"data_facts": FACTS}))
    assert found.verdict == "corrected"
    assert "std of blue is 0.26159, printed 0.261" in found.reason
    assert "green" not in found.reason  # 0.24349 does round to 0.243
    assert "no effect can be seen" in found.reason


def test_c02_would_be_reproduced_by_other_data_and_would_show_an_effect():
    facts = {**FACTS, "std": [0.2470, 0.2430, 0.2610]}
    arms = dict(zip(C02_ARMS, (0.75, 0.75, 0.65), strict=True))
    found = judge("C02", evidence(arms, 3, studies={"data_facts": facts}))
    assert found.verdict == "reproduced"
    assert "an effect shows" in found.reason


@pytest.mark.parametrize(
    ("flip", "verdict"), [(0.77, "reproduced"), (0.73, "corrected"), (0.7502, "open")]
)
def test_c03_asks_on_which_side_of_zero_flips_are(flip, verdict):
    found = judge("C03", evidence({"simple_cnn": 0.75, "simple_cnn_flip": flip}))
    assert found.verdict == verdict
    assert found.estimate is not None
    assert found.estimate.mean == pytest.approx(flip - 0.75, abs=0.003)


def test_c05_and_c07_use_the_first_recipe_and_show_the_others():
    found = judge("C05", evidence({"simple_cnn": 0.65, "simple_cnn_flip": 0.80}))
    assert found.verdict == "corrected"
    assert found.details[0].startswith("simple_cnn_flip: 80.")
    one = judge("C07", evidence({"resnet18": 0.935}, 1))
    assert one.verdict == "reproduced"
    assert "test images only" in one.ours


SIZES = {
    "simple_cnn": 100,
    "deep_cnn_narrow": 102,
    "deep_cnn": 414,
    "deep_cnn_pool4": 43,
    "deep_cnn_bn": 117,
}


@pytest.mark.parametrize(
    ("narrow", "wide", "small", "verdict", "words"),
    [
        (0.80, 0.81, 0.82, "corrected", "deep_cnn_narrow has 1.02 times, deep_cnn_pool4 has 0.43"),
        (0.75, 0.81, 0.82, "corrected", "deep_cnn_pool4 has 0.43 times"),
        (0.75, 0.81, 0.75, "reproduced", "2.5 to 4.5 times the weights"),
        (0.75, 0.75, 0.75, "corrected", "none of them reaches 77.5 %"),
        (0.775, 0.775, 0.775, "open", "no interval is clear of 77.5 %"),
    ],
)
def test_c06_asks_whether_the_accuracy_needs_the_weights(narrow, wide, small, verdict, words):
    names = ("simple_cnn", "deep_cnn_narrow", "deep_cnn", "deep_cnn_pool4", "deep_cnn_bn")
    arms = dict(zip(names, (0.75, narrow, wide, small, 0.88), strict=True))
    found = judge("C06", evidence(arms, 3, parameters=SIZES))
    assert found.verdict == verdict
    assert words in found.reason
    assert any("deep_cnn_bn, 1.17 times" in line for line in found.details)  # shown, not judged


def test_c08_is_corrected_by_the_articles_own_figures():
    pair = {"simple_cnn": 0.79, "resnet18": 0.93}
    found = judge("C08", evidence(pair, 1))
    assert found.verdict == "corrected"
    assert "92 − 72 = 20, not 14" in found.reason
    assert found.estimate is not None
    assert found.estimate.mean == pytest.approx(0.14, abs=0.005)


@pytest.mark.parametrize(("simple", "verdict"), [(0.79, "reproduced"), (0.75, "corrected")])
def test_c08_is_decided_by_the_runs_where_the_figures_agree(simple, verdict):
    claim = replace(CLAIMS["C08"], numbers={"resnet18": 92, "simple_cnn": 78})
    found = judge("C08", evidence({"simple_cnn": simple, "resnet18": 0.93}), claim)
    assert found.verdict == verdict


def test_c08_shows_the_ablations_that_are_recorded_holm_corrected():
    arms = {
        "simple_cnn": 0.75,
        "resnet18": 0.93,
        "simple_cnn_flip_crop": 0.79,
        "resnet18_w16": 0.90,
        "resnet18_w16_no_skip": 0.88,
        "resnet18_w16_no_bn": 0.90,
    }
    details = judge("C08", evidence(arms, 3)).details
    assert len(details) == 3
    assert details[0].startswith("resnet18 against simple_cnn_flip_crop: +1")
    assert details[1].startswith("resnet18_w16_no_skip against resnet18_w16: −")
    assert "p = 0.0" in details[1]
    assert details[2].startswith("resnet18_w16_no_bn against resnet18_w16: ")


@pytest.mark.parametrize(
    ("blocks", "accuracy", "verdict", "words"),
    [
        (["Bottleneck"], 0.89, "corrected", "not printed: Bottleneck; with it, it trains"),
        (["BasicBlock"], 0.89, "reproduced", "the printed block is enough"),
        (["Bottleneck"], 0.70, "open", "resnet50_w16 is not clearly above 80 %"),
    ],
)
def test_c09_asks_for_the_block_and_whether_it_trains(blocks, accuracy, verdict, words):
    study = {"blocks": {"resnet34": ["BasicBlock"], "resnet50": blocks}}
    found = judge(
        "C09",
        evidence(
            {"resnet34_w16": 0.9, "resnet50_w16": accuracy}, 1, studies={"parameter_counts": study}
        ),
    )
    assert found.verdict == verdict
    assert words in found.reason


def test_differences_use_the_seeds_that_both_have():
    both = Evidence({"a": runs(0.7, 5), "b": runs(0.8, 2, salt=1)})
    assert both.difference("a", "b").n == 2
    assert "a" in both
    assert "c" not in both
