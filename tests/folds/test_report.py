"""Mirrors cifar_lessons/folds/report.py."""

import numpy as np
import pytest

from cifar_lessons import recipes
from cifar_lessons.evaluation.label_errors import Catch
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.folds import report, study

TABLE = 0.79 + np.random.default_rng(0).normal(0, 0.004, (8, 5))


@pytest.fixture
def repeats(write_folds, tmp_path):
    base = recipes.get("folds_base")
    for seed in range(8):
        write_folds(tmp_path, base, seed=seed)
    values, provenance = study.gather(base, folds=5, seeds=range(8), out=tmp_path)
    return study.from_values(values, provenance)


def test_the_card_says_how_it_was_made_or_how_to_make_it(repeats):
    assert report.card(repeats) == (
        "*Recorded: `folds_base`, 8 repeats of 5 folds, Made-up CPU, 1 thread, bf16, torch 9.8.7, "
        "commit aaaaaaa, 40 minutes of training (cores may have been shared).*"
    )
    assert report.card(None) == (
        "**Not recorded yet:** `cifar-lessons folds folds_base --repeats 8 --record`"
    )


def test_missing_folds_are_told_with_their_commands():
    assert report.missing("folds_wrong_labels", None) == (
        "**Not recorded yet:** `cifar-lessons train folds_wrong_labels --folds 5 --seed 0`, then "
        "`cifar-lessons record folds_wrong_labels --folds 5 --seed 0`"
    )


def test_the_spread_table_has_a_row_an_experiment_and_leaves_out_what_is_missing():
    [row] = report.spread_table({"live": TABLE, "recorded": None}).rows
    label, mean, single, of_mean, difference, ratio, correlation = row
    assert (label, mean) == ("live", f"{100 * TABLE.mean():.2f} %")
    assert float(of_mean) == pytest.approx(100 * TABLE.mean(axis=1).std(ddof=1), abs=0.006)
    assert difference.startswith(f"{float(single) - float(of_mean):.2f}"[:3])
    assert ratio.count("to") == difference.count("to") == 1
    assert correlation[0] in "+−"
    empty = report.spread_table({"recorded": None})
    assert (list(empty.rows), empty.caption) == ([], report.NOTHING)


def test_the_intervals_of_one_repeat_and_of_all(repeats):
    first, every = report.intervals_table(repeats).rows
    assert first[0] == "the first repeat, 5 networks"
    assert every[0] == "all 8 repeats, 40 networks"

    def width(text: str) -> float:
        low, high = (float(x) for x in text.removesuffix(" %").split(" to "))
        return high - low

    assert width(first[3]) == pytest.approx(1.5 * width(first[2]), rel=0.01)
    assert width(every[3]) > 3 * width(every[2])
    assert report.intervals_table(None).caption == report.NOTHING


def test_summaries_for_a_terminal():
    labels = np.arange(20) % 2
    found = [
        Predictions(np.eye(2)[labels ^ (np.arange(20) < wrong)], labels) for wrong in (2, 4, 6)
    ]
    line = report.folds_summary(found, 40)
    assert line.startswith("3 folds: held-out accuracy 80.00 % (corrected 95 % interval ")
    line = report.spread_summary(TABLE)
    assert line.startswith("8 repeats of 5 folds: a single split moves by 0.")
    assert "\n" not in line
    assert report.spread_summary(np.full((8, 5), 0.1)).startswith(  # one class for all images
        "held-out accuracy 10.00 %; all repeats or all folds gave the same accuracy"
    )


def test_the_catch_table_shows_precision_and_recall():
    table = report.catch_table({"confident": Catch(suspects=400, hits=100, wrong=125)})
    assert table.rows == [("confident", "400", "100 of 125", "25.0 %", "80.0 %")]
    [row] = report.catch_table({"by heart": Catch(suspects=0, hits=0, wrong=125)}).rows
    assert row[3:] == ("–", "0.0 %")
    assert report.catch_table({}).caption == report.NOTHING
