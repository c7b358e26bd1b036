"""Mirrors cifar_lessons/finetuning/card.py: numbers in words, and none without its count."""

import numpy as np

from cifar_lessons.evaluation.metrics import Predictions, wilson_interval
from cifar_lessons.finetuning.card import pairs, results, text

CLASSES = ("ant", "bee", "cow")
LABELS = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
SAID = [0, 1, 1, 0, 1, 0, 1, 2, 2, 1]
FOUND = Predictions(np.eye(3, dtype=np.float32)[SAID], np.array(LABELS))
ABOUT = {"start": "big seed0", "head_alone": 0.5, "train_pictures": 40}


def test_the_accuracy_comes_with_its_interval_and_with_what_it_is_held_to():
    first, *rest = results(FOUND, CLASSES, ABOUT)
    low, high = wilson_interval(6, 10)
    assert first == (
        f"validation accuracy 60.0 %: 6 of 10 pictures held out (95 % interval {100 * low:.1f} "
        f"to {100 * high:.1f})"
    )
    assert rest == [
        "  a new head alone, all else as it was: 50.0 %",
        "  always saying 'ant': 40.0 %",
    ]
    assert "  the same network from new weights: 25.0 %" in results(
        FOUND, CLASSES, {**ABOUT, "scratch": 0.25}
    )


def test_the_pairs_that_are_mistaken_most_come_first():
    assert pairs(FOUND, CLASSES) == [
        "most often mistaken:",
        "  ant taken for bee: 2 of 4",
        "  bee taken for ant: 1 of 3",
        "  cow taken for bee: 1 of 3",
    ]
    right = Predictions(np.eye(3, dtype=np.float32)[LABELS], np.array(LABELS))
    assert pairs(right, CLASSES) == ["no picture held out was mistaken"]


def test_the_card_says_what_it_is_and_what_it_is_not_for():
    weights = {"bytes": 1234, "sha256": "f" * 64}
    said = text(FOUND, CLASSES, ABOUT, recipe="big_finetuned", weights=weights)
    assert "big seed0, fine-tuned on 40 pictures of 3 classes: ant, bee, cow" in said
    assert "- validation accuracy 60.0 %" in said
    assert "- ant taken for bee: 2 of 4" in said
    assert "**What it is not for.**" in said
