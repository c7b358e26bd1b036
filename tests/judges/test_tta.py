"""Mirrors cifar_lessons/judges/tta.py: the judge can end each way that it says."""

from typing import Any

import pytest

from cifar_lessons.tta.results import MERGED, REVISION, SETS, sets_as_json
from cifar_lessons.verdicts import Evidence

Changed = tuple[int, int]


def network(right: int, cells: dict[str, Changed], learned: Changed | None = None) -> Any:
    """What is stored of a network; other sets correct 60 images and break 40."""
    found = {s: {how: [*cells.get(s, (60, 40)), 0.3] for how in MERGED} for s in SETS}
    test = {"images": 10_000, "right": right, "loss": 0.3, "views": {}, "by_class": {}}
    weights = {"plain": 0.5, "flip": 0.5} if learned else {}
    return {
        "facts": {"weights": "abc"},
        "test": {**test, "sets": found},
        "val": None,
        "learned": {"weights": weights, "test": [*learned, 0.3] if learned else None},
    }


def evidence(networks: dict[str, Any], **changes: Any) -> Evidence:
    values = {"revision": REVISION, "sets": sets_as_json(), "networks": networks, **changes}
    return Evidence(studies={"tta": values})


SMALL = {"article": (120, 80), "article_turns": (60, 400)}  # +0.4 and -3.4 points


def test_c18_is_corrected_where_neither_reading_gains_as_much(judge):
    found = judge("C18", evidence({"resnet18": network(9_000, SMALL)}))
    assert found.verdict == "corrected"
    assert found.reason == "on resnet18 no reading of the five transforms gains 2.3 points"
    assert "article on resnet18: +0.40 points" in found.ours
    assert "article_turns on resnet18: −3.40 points" in found.ours
    assert found.estimate.mean == pytest.approx(0.004)


def test_c18_says_where_the_number_would_fit(judge):
    weak = network(7_500, {"article": (500, 270)})  # +2.3
    found = judge("C18", evidence({"resnet18": network(9_000, SMALL), "simple_cnn": weak}))
    assert found.verdict == "corrected"
    assert found.reason.endswith("the interval of these holds it: article on simple_cnn")


@pytest.mark.parametrize("reading", ["article", "article_turns"])
def test_c18_is_reproduced_if_one_reading_gives_it(judge, reading):
    found = judge("C18", evidence({"resnet18": network(9_000, {**SMALL, reading: (300, 70)})}))
    assert found.verdict == "reproduced"


def test_c18_is_open_where_the_interval_is_wide_the_network_missing_or_the_sets_others(judge):
    wide = {"article": (1_500, 1_280), "article_turns": (60, 400)}
    assert judge("C18", evidence({"resnet18": network(9_000, wide)})).verdict == "open"
    missing = judge("C18", evidence({"simple_cnn": network(7_500, SMALL)}))
    assert (missing.verdict, missing.reason) == ("open", "the study holds no resnet18")
    assert missing.details
    old = judge("C18", evidence({"resnet18": network(9_000, SMALL)}, revision=0))
    assert old.verdict == "open"
    assert "other sets" in old.reason


def test_c18_asks_for_more_of_a_near_miss_since_there_are_two_readings(judge):
    """1.6 points with half a width of 0.63: outside alone (p = 0.044), not among two."""
    near = {"article": (600, 440), "article_turns": (600, 440)}
    assert judge("C18", evidence({"resnet18": network(9_000, near)})).verdict == "open"
    clear = {"article": (600, 440), "article_turns": (60, 400)}
    assert judge("C18", evidence({"resnet18": network(9_000, clear)})).verdict == "corrected"


def test_c18_shows_predictions_learned_weights_and_the_worst_set(judge):
    cells = {**SMALL, "flip": (90, 60), "flip_shift": (110, 80), "rotations_90": (10, 910)}
    lines = "\n".join(
        judge("C18", evidence({"resnet18": network(9_000, cells, (130, 60))})).details
    )
    assert "flip: +0.30 points" in lines
    assert "60 broken, p = 0.018; inside the predicted +0.2 to +0.5" in lines
    assert "p = 0.035; outside the predicted +0.4 to +0.9" in lines
    assert "the worst of all sets, rotations_90: −9.00 points" in lines
    assert "weights learned on validation, 2 passes: +0.70 points" in lines
