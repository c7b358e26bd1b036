"""The recorded studies `corruptions` and `near_duplicates` belong to the recorded networks."""

from typing import Any

import numpy as np
import pytest

from cifar_lessons import recipes, runs
from cifar_lessons.data.corruptions import CORRUPTIONS
from cifar_lessons.robustness import corruption_study


def recorded(name: str) -> dict[str, Any]:
    try:
        return runs.load_study(name)["values"]
    except runs.MissingRun as missing:
        pytest.skip(str(missing))


def test_every_network_was_scored_with_the_weights_that_are_kept():
    """One that was recorded later may be missing: the page says so."""
    study = recorded("corruptions")
    for name, found in study["networks"].items():
        run = runs.load_run(recipes.get(name))
        assert found["weights"] == (run.weights or {})["sha256"]
        assert found["images"] == corruption_study.NETWORKS[name]
        assert list(found["corruptions"]) == list(CORRUPTIONS)


def test_clean_answers_are_nearly_those_of_the_runs():
    """The study may compute in 16 bits; the runs were scored in fp32."""
    study = recorded("corruptions")
    for name, found in study["networks"].items():
        answers = runs.load_run(recipes.get(name)).logits("test")
        order = corruption_study.stratified_order(answers.labels, seed=study["seed"])
        right = int(answers.correct[order[: found["images"]]].sum())
        assert found["clean"]["recorded"] == right
        assert abs(found["clean"]["plain"] - right) <= 0.005 * found["images"]


def test_pairs_are_sorted_and_belong_to_the_recorded_network():
    study = recorded("near_duplicates")
    assert study["network"]["weights"] == runs.find_run(study["network"]["name"]).weights["sha256"]
    test, train, detail = (np.array(study["pairs"][k]) for k in ("test", "train", "detail"))
    assert len(set(test.tolist())) == len(test) == len(train) == len(detail)
    assert (np.diff(detail) <= 0).all()
    assert study["near"] == (detail >= study["rule"]["near"]).sum()
    assert test.max() < 10_000
    assert train.max() < 50_000
