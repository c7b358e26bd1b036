"""Mirrors cifar_lessons/judges/data.py: every judge can end each way that it says."""

import pytest

from cifar_lessons.verdicts import Evidence

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


def test_c01_compares_every_count(judge):
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


def test_c02_finds_the_digit_that_was_cut_off_and_no_effect(judge, evidence):
    found = judge("C02", evidence(dict.fromkeys(C02_ARMS, 0.75), 3, studies={"data_facts": FACTS}))
    assert found.verdict == "corrected"
    assert "std of blue is 0.26159, printed 0.261" in found.reason
    assert "green" not in found.reason  # 0.24349 does round to 0.243
    assert "no effect can be seen" in found.reason


def test_c02_would_be_reproduced_by_other_data_and_would_show_an_effect(judge, evidence):
    facts = {**FACTS, "std": [0.2470, 0.2430, 0.2610]}
    arms = dict(zip(C02_ARMS, (0.75, 0.75, 0.65), strict=True))
    found = judge("C02", evidence(arms, 3, studies={"data_facts": facts}))
    assert found.verdict == "reproduced"
    assert "an effect shows" in found.reason


@pytest.mark.parametrize(
    ("flip", "verdict"), [(0.77, "reproduced"), (0.73, "corrected"), (0.7502, "open")]
)
def test_c03_asks_on_which_side_of_zero_flips_are(judge, evidence, flip, verdict):
    found = judge("C03", evidence({"simple_cnn": 0.75, "simple_cnn_flip": flip}))
    assert found.verdict == verdict
    assert found.estimate is not None
    assert found.estimate.mean == pytest.approx(flip - 0.75, abs=0.003)
