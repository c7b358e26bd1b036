"""Mirrors cifar_lessons/speed/ideas.py: what is left out is compared seed by seed."""

import numpy as np
import pytest

from cifar_lessons import recording, runs
from cifar_lessons.evaluation.metrics import Predictions, accuracy, paired_difference
from cifar_lessons.speed import ideas
from cifar_lessons.speedruns import ALL_IDEAS, WITHOUT

RACE = {"runs": {WITHOUT["Muon"]: {"ratio": 0.97, "low": 0.96, "high": 0.99}}}


def with_views(name: str, gain: int) -> None:
    """Give recorded runs of a recipe further looks, which are right `gain` times more often."""
    for folder in sorted((runs.runs_root() / name).iterdir()):
        plain = runs.read_run(folder).logits("test")
        logits = plain.logits.copy()
        wrong = np.flatnonzero(~plain.correct)[:gain]
        logits[wrong] = np.eye(10)[plain.labels[wrong]]
        (folder / "test_views_logits.npz").write_bytes(
            recording._npz(Predictions(logits, plain.labels))
        )


@pytest.fixture
def three(recorded):
    """The base, and two recipes that leave something out."""
    for name, right in ((ALL_IDEAS, 0.92), (WITHOUT["Muon"], 0.88), (WITHOUT["whitening"], 0.92)):
        recorded(name, right, seeds=range(5))
        with_views(name, 10)


def test_nothing_recorded_is_said(recorded):
    assert ideas.effects() == []
    assert ideas.table([]).caption == "Nothing is recorded yet."
    assert ideas.figure([]).axes[0].texts[0].get_text() == "Not recorded yet"


def test_the_change_is_of_the_same_seeds_with_further_looks(three):
    found = {effect.idea: effect for effect in ideas.effects(RACE)}
    assert list(found) == ["whitening", "Muon", ideas.LOOKS]  # in the order of the chapter
    base, without = (
        [runs.read_run(runs.runs_root() / name / f"seed{s}").logits("test_views") for s in range(5)]
        for name in (ALL_IDEAS, WITHOUT["Muon"])
    )
    assert found["Muon"].change == paired_difference(base, without)
    assert found["Muon"].change.mean == pytest.approx(-0.04, abs=0.005)
    assert found["Muon"].p_value < 0.01 < found["whitening"].p_value


def test_further_looks_are_left_out_of_the_very_same_runs(three):
    [*_, looks] = ideas.effects()
    assert looks.change.mean == pytest.approx(-10 / 2_000)
    base = runs.read_run(runs.runs_root() / ALL_IDEAS / "seed0")
    assert accuracy(base.logits("test")) < accuracy(base.logits("test_views"))


def test_a_seed_that_only_one_side_has_is_not_compared(recorded):
    recorded(ALL_IDEAS, 0.92, seeds=range(5))
    recorded(WITHOUT["Muon"], 0.88, seeds=range(1, 3))
    with_views(ALL_IDEAS, 10)
    with_views(WITHOUT["Muon"], 10)
    assert ideas.effects()[0].change.n == 2


def test_time_is_shown_where_it_was_measured(three):
    rows = {row[0]: row for row in ideas.table(ideas.effects(RACE)).rows}
    assert rows["Muon"][-1] == "0.97x (0.96 to 0.99)"
    assert rows["whitening"][-1] == "–"
    assert rows["Muon"][1].startswith("−4.")


def test_a_row_an_idea_is_drawn(three):
    figure = ideas.figure(ideas.effects())
    [axes] = figure.axes
    words = [label.get_text() for label in axes.get_yticklabels()]
    assert words == ["no whitening", "no Muon", "no further looks"]
