"""Mirrors cifar_lessons/evaluation_reports.py."""

import numpy as np
import pytest

from cifar_lessons import evaluation_reports as er
from cifar_lessons import plots, recipes, recording, runs
from cifar_lessons.evaluation.calibration import scaled
from cifar_lessons.evaluation.metrics import (
    Predictions,
    paired_difference,
    per_class_accuracy,
)


def network(seed: int, *, images: int = 800, temperature: float = 1.0) -> Predictions:
    """Predictions with labels drawn from their own probabilities, then distorted."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(images, 10))
    p = np.exp(logits)
    below = (p / p.sum(1, keepdims=True)).cumsum(1) < rng.random((images, 1))
    return scaled(Predictions(logits, below.sum(1).clip(0, 9)), temperature)


def record(name: str, seed: int, **splits: Predictions) -> None:
    recording.write_run(
        runs.runs_root() / name / f"seed{seed}",
        recipe=recipes.get(name),
        seed=seed,
        provenance={"train_seconds": 60.0},
        history=[{"epoch": 1.0}],
        logits=splits,
        extra={},
    )


@pytest.fixture
def found(tmp_path, monkeypatch):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    labels = network(0).labels
    for seed in (0, 1):
        test = Predictions(network(seed, temperature=0.5).logits, labels)
        record("simple_cnn", seed, test=test, val=network(9, temperature=0.5))
    record("resnet18", 0, test=network(0))
    return plots.available(["simple_cnn", "resnet18"])


def test_a_temperature_comes_from_validation_or_there_is_none(found):
    assert er.temperature(found["simple_cnn"][0]) == pytest.approx(2.0, rel=0.15)
    assert er.temperature(found["resnet18"][0]) is None


def test_the_table_shows_both_states_and_says_where_nothing_was_held_out(found):
    table = er.calibration_table(found)
    names = [str(row[0]) for row in table.rows]
    assert names[0] == "simple_cnn, as it is"
    assert names[1].startswith("simple_cnn, T = ")
    assert names[2:] == [
        "resnet18, as it is",
        "resnet18: no validation images, so no temperature",
    ]
    assert table.rows[0][1] == table.rows[1][1]  # no answer moves
    assert float(table.rows[1][2]) < float(table.rows[0][2])
    assert er.calibration_table({}).caption == "Nothing is recorded yet."


def test_pairs_are_seeds_of_one_recipe_and_corrected_together(found):
    pairs = er.seed_pairs(found)
    assert list(pairs) == ["simple_cnn: seed 1 against 0"]
    first, second = next(iter(pairs.values()))
    table = er.pairs_table({"one": (first, second), "same": (first, first)})
    one, same = table.rows
    assert int(str(one[2])) == (first.correct & ~second.correct).sum()
    assert int(str(one[3])) == (second.correct & ~first.correct).sum()
    assert str(same[1]).startswith("+0.00 points")
    assert same[2:] == ("0", "0", "1")
    assert er.pairs_table({}).caption == "Nothing is recorded yet."
    [(label, share)] = er.disagreements(pairs).items()
    assert share == (first.correct != second.correct).mean()
    assert label.startswith(f"{100 * share:.1f} % (simple_cnn")


def test_seeds_by_class_shows_how_far_a_class_wanders(found):
    seeds = [run.logits() for run in found["simple_cnn"]]
    table = er.seeds_by_class("simple_cnn", seeds, {"car": 1, "cat": 3})
    assert table.columns == ("Seed", "car", "cat", "all classes")
    expected = 100 * per_class_accuracy(seeds[1])[3]
    assert table.rows[1][2] == f"{expected:.1f}"
    assert er.seeds_by_class("x", [], {}).caption == "x: not recorded yet."


def test_recipes_are_compared_over_the_seeds_that_both_have(found):
    table = er.recipes_table(
        found, [("simple_cnn", "resnet18"), ("simple_cnn", "simple_cnn"), ("simple_cnn", "none")]
    )
    assert [row[0] for row in table.rows] == [
        "resnet18 against simple_cnn",
        "simple_cnn against simple_cnn",
    ]
    assert [row[4] for row in table.rows] == ["1", "2"]
    estimate = paired_difference([found["simple_cnn"][0].logits()], [found["resnet18"][0].logits()])
    assert table.rows[0][2] == f"± {100 * estimate.half_width:.2f}"
    same, apart = (float(str(cell)[2:]) for cell in table.rows[1][2:4])
    assert same == 0 < apart
    assert er.recipes_table({}, [("a", "b")]).caption == "Nothing is recorded yet."


def test_pictures_go_with_the_answers_that_belong_to_them():
    stored, live = {"a": network(0)}, network(1)
    chosen, note = er.with_pictures(stored, live, network(0).labels)
    assert (list(chosen), str(note)) == (["a"], "")
    chosen, note = er.with_pictures(stored, live, live.labels)
    assert list(chosen) == ["the live network"]
    assert "official test images" in note
    assert "`cifar-lessons data --official-order`" in note
    chosen, note = er.with_pictures({}, live, live.labels)
    assert "Nothing is recorded yet" in note
