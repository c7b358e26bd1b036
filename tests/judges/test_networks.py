"""Mirrors cifar_lessons/judges/networks.py: every judge can end each way that it says."""

from dataclasses import replace

import pytest

from cifar_lessons.claims import load_claims

CLAIMS = {claim.id: claim for claim in load_claims()}


def test_c05_and_c07_use_the_first_recipe_and_show_the_others(judge, evidence):
    found = judge("C05", evidence({"simple_cnn": 0.65, "simple_cnn_flip": 0.80}))
    assert found.verdict == "open"  # a budget that falls short refutes no "can"
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
        (0.775, 0.81, 0.75, "reproduced", "whether deep_cnn_narrow (1.02 times) get there"),
        (0.75, 0.75, 0.75, "corrected", "none of them reaches 77.5 %"),
        (0.775, 0.775, 0.775, "open", "no interval is clear of 77.5 %"),
    ],
)
def test_c06_asks_whether_the_accuracy_needs_the_weights(
    judge, evidence, narrow, wide, small, verdict, words
):
    names = ("simple_cnn", "deep_cnn_narrow", "deep_cnn", "deep_cnn_pool4", "deep_cnn_bn")
    arms = dict(zip(names, (0.75, narrow, wide, small, 0.88), strict=True))
    found = judge("C06", evidence(arms, 3, parameters=SIZES))
    assert found.verdict == verdict
    assert words in found.reason
    assert any("deep_cnn_bn, 1.17 times" in line for line in found.details)  # shown, not judged


def test_c08_is_corrected_by_the_articles_own_figures(judge, evidence):
    pair = {"simple_cnn": 0.79, "resnet18": 0.93}
    found = judge("C08", evidence(pair, 1))
    assert found.verdict == "corrected"
    assert "92 − 72 = 20, not 14" in found.reason
    assert found.estimate is not None
    assert found.estimate.mean == pytest.approx(0.14, abs=0.005)


@pytest.mark.parametrize(("simple", "verdict"), [(0.79, "reproduced"), (0.75, "corrected")])
def test_c08_is_decided_by_the_runs_where_the_figures_agree(judge, evidence, simple, verdict):
    claim = replace(CLAIMS["C08"], numbers={"resnet18": 92, "simple_cnn": 78})
    found = judge("C08", evidence({"simple_cnn": simple, "resnet18": 0.93}), claim)
    assert found.verdict == verdict


def test_c08_shows_the_ablations_that_are_recorded_holm_corrected(judge, evidence):
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
def test_c09_asks_for_the_block_and_whether_it_trains(
    judge, evidence, blocks, accuracy, verdict, words
):
    study = {"blocks": {"resnet34": ["BasicBlock"], "resnet50": blocks}}
    found = judge(
        "C09",
        evidence(
            {"resnet34_w16": 0.9, "resnet50_w16": accuracy}, 1, studies={"parameter_counts": study}
        ),
    )
    assert found.verdict == verdict
    assert words in found.reason
