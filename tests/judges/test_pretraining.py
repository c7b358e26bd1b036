"""Mirrors cifar_lessons/judges/pretraining.py: the judge can end each way that it says."""

import numpy as np
import pytest

from cifar_lessons.pretraining.results import REVISION, pack

BASE = {"labels1_scratch": 0.40, "labels10_scratch": 0.68, "resnet18_w16_fp32": 0.89}


def accuracies(one: float, ten: float, hundred: float = 0.0, **more: float) -> dict[str, float]:
    gains = {"labels1_simclr": one, "labels10_simclr": ten, "labels100_simclr": hundred}
    bases = dict(zip(gains, BASE, strict=True))
    return {**BASE, **{name: BASE[bases[name]] + gain for name, gain in gains.items()}, **more}


@pytest.mark.parametrize(
    ("one", "ten", "word"), [(0.15, 0.10, "more"), (0.02, 0.01, "less")], ids=["more", "less"]
)
def test_c16_is_corrected_where_both_shares_miss_it_on_one_side(judge, evidence, one, ten, word):
    found = judge("C16", evidence(accuracies(one, ten), seeds=3))
    assert found.verdict == "corrected"
    assert found.reason == (
        f"at 1 % and 10 % alike the gain is clearly {word} than 5 points; without the share of "
        "labels the number says little"
    )
    assert found.ours.startswith("1 %: +")
    assert "; 10 %: +" in found.ours
    assert "; 100 %: " in found.ours


def test_c16_is_open_where_the_shares_miss_it_on_either_side(judge, evidence):
    """Some share in between gives 5 points, and the article names none."""
    found = judge("C16", evidence(accuracies(0.15, 0.01), seeds=3))
    assert found.verdict == "open"
    assert found.reason.startswith("clearly more at one share and less at another")


@pytest.mark.parametrize(("one", "ten", "where"), [(0.05, 0.01, "1 %"), (0.15, 0.05, "10 %")])
def test_c16_is_reproduced_if_one_share_gives_it(judge, evidence, one, ten, where):
    found = judge("C16", evidence(accuracies(one, ten), seeds=3))
    assert found.verdict == "reproduced"
    assert found.reason.startswith(f"the gain at {where} of the labels is 5 points")


@pytest.mark.parametrize("one", [0.05, 0.07], ids=["right on average", "not even that"])
def test_c16_is_open_where_the_interval_is_wide(judge, evidence, one):
    """Draws that differ by ten points."""
    made = evidence(accuracies(one, 0.05), seeds=3)
    uneven = evidence({"low": 0.35, "high": 0.55, "a": 0.63, "b": 0.83}, seeds=3).predictions
    made.predictions["labels1_simclr"][1] = uneven["low"][1]
    made.predictions["labels1_simclr"][2] = uneven["high"][2]
    made.predictions["labels10_simclr"][1] = uneven["a"][1]
    made.predictions["labels10_simclr"][2] = uneven["b"][2]
    found = judge("C16", made)
    assert found.verdict == "open"
    assert "the interval at 1 % and 10 % is too wide to tell" in found.reason


def test_c16_tells_a_near_miss_from_a_wide_interval(judge, evidence):
    found = judge("C16", evidence(accuracies(0.15, 0.056), seeds=3))
    assert found.verdict == "open"
    assert "the interval at 10 % reaches over an edge of 4.5 to 5.5 points" in found.reason


def test_c16_tells_what_became_of_the_prediction(judge, evidence):
    lines = "\n".join(judge("C16", evidence(accuracies(0.15, 0.08, -0.01), seeds=3)).details)
    assert "1 %: inside the predicted +10 to +20" in lines
    assert "10 %: outside the predicted −3 to +5" in lines
    assert "100 %: inside the predicted at most 0" in lines
    above = "\n".join(judge("C16", evidence(accuracies(0.15, 0.0, 0.02), seeds=3)).details)
    assert "100 %: outside the predicted at most 0" in above


def test_c16_shows_the_other_learner_and_the_long_control(judge, evidence):
    more = {"labels10_vicreg": 0.75, "labels10_long": 0.78}
    lines = "\n".join(judge("C16", evidence(accuracies(0.15, 0.06, **more), seeds=3)).details)
    assert "10 %, labels10_vicreg against labels10_scratch: +" in lines
    assert "10 %, labels10_long against labels10_scratch: +" in lines
    assert (
        "labels10_simclr against labels10_long, from scratch with the compute of pre-training too: "
        "−" in lines
    )


def test_c16_holds_probes_against_training_from_scratch_on_the_same_draws(judge, evidence):
    base = evidence(accuracies(0.15, 0.01), seeds=3)
    right = np.arange(10_000) < 5_000
    probes = [
        {"share": 0.01, "draw": draw, "right": pack(right), "strength": 1, "val_accuracy": 0.5}
        for draw in range(3)
    ]
    study = {
        "revision": REVISION,
        "test_images": 10_000,
        "networks": {"simclr_w16": {"weights": "a", "probes": probes}},
    }
    with_study = evidence(accuracies(0.15, 0.01), seeds=3, studies={"probes": study})
    [line] = [x for x in judge("C16", with_study).details if "linear" in x]
    gap = 0.5 - np.mean([p.correct.mean() for p in base.predictions["labels1_scratch"].values()])
    assert line.startswith(
        f"1 %, linear on frozen simclr_w16 against labels1_scratch: {100 * gap:+.2f} points"
    )
    old = evidence(
        accuracies(0.15, 0.01), seeds=3, studies={"probes": {**study, "revision": REVISION - 1}}
    )
    assert not [x for x in judge("C16", old).details if "linear" in x]
