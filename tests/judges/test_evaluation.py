"""Mirrors cifar_lessons/judges/evaluation.py: the judge can end each way that it says."""

import numpy as np
import pytest

from cifar_lessons import recipes
from cifar_lessons.claims import load_claims
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.verdicts import Evidence

CLAIM = next(claim for claim in load_claims() if claim.id == "C12")


def network(gap: float, *, per_class: int = 1_000, seed: int = 0) -> Predictions:
    """Ten classes at 95 %, cats and dogs that many points (a fraction) below."""
    labels = np.repeat(np.arange(10), per_class)
    hardness = np.random.default_rng(0).permuted(
        np.tile(np.arange(per_class) / per_class, (10, 1)), axis=1
    )  # the same images are hard for every network
    hardness = hardness.ravel() + 0.01 * np.random.default_rng(seed + 1).normal(size=len(labels))
    right = hardness < np.where(np.isin(labels, (3, 5)), 0.95 - gap, 0.95)
    return Predictions(np.eye(10)[np.where(right, labels, (labels + 1) % 10)], labels)


def found(gaps: dict[str, float], *, seeds: int = 1, per_class: int = 1_000) -> Evidence:
    return Evidence(
        {
            name: {s: network(gap, per_class=per_class, seed=s) for s in range(seeds)}
            for name, gap in gaps.items()
        }
    )


@pytest.mark.parametrize(
    ("simple", "deep", "verdict", "words"),
    [
        (0.24, 0.12, "corrected", " seed that both have; resnet18's interval lies"),
        (0.24, 0.08, "corrected", "resnet18's interval meets 7.5 to 8.5, and is too wide"),
        (0.08, 0.24, "corrected", "whose gaps differ by 16."),  # the other way round is as bad
        (0.145, 0.14, "corrected", "resnet18's interval lies outside 7.5 to 8.5"),
        (0.085, 0.08, "open", "meets 7.5 to 8.5, and is too wide to confirm them"),
    ],
)
def test_c12_asks_for_one_number_and_then_for_the_number(judge, simple, deep, verdict, words):
    result = judge("C12", found({"simple_cnn": simple, "resnet18": deep}))
    assert result.verdict == verdict
    assert words in result.reason
    assert ("one number can't stand" in result.reason) == (abs(simple - deep) > 0.05)
    assert result.estimate is not None
    assert result.estimate.mean == pytest.approx(deep, abs=0.012)
    assert result.ours.startswith("resnet18 ")


def test_c12_is_reproduced_only_by_an_interval_that_can_tell(judge):
    """With twelve times as many images: 10,000 cannot say 8 and mean it."""
    both = {"simple_cnn": 0.08, "resnet18": 0.08}
    result = judge("C12", found(both, per_class=12_000))
    assert (result.verdict, result.reason) == (
        "reproduced",
        "resnet18's interval meets 7.5 to 8.5",
    )


def test_c12_shows_every_recorded_recipe_by_accuracy_and_classes_with_wilsons_intervals(judge):
    gaps = {"simple_cnn": 0.24, "resnet18": 0.12, "resnet18_w16": 0.2, "deep_cnn_bn": 0.22}
    details = judge("C12", found(gaps, seeds=2)).details
    shown = [line.partition(",")[0] for line in details[1:5]]
    assert shown == ["simple_cnn", "deep_cnn_bn", "resnet18_w16", "resnet18"]
    assert "n = 2" in details[1]
    assert details[-1].startswith(
        "resnet18 seed 0, with Wilson's intervals: automobile 95.2 % (93."
    )
    assert ", cat 83." in details[-1]


def test_c12_covers_every_recipe_that_has_seeds():
    every = {*CLAIM.recipes, *CLAIM.also}
    assert every == set(recipes.comparable())
    assert "resnet18" in every
    assert not every & {"tuning_base", "folds_base", "labels10_simclr"}
