"""Mirrors cifar_lessons/tta/report.py."""

import numpy as np
import pytest

from cifar_lessons import recipes, recording, runs
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.tta import report
from cifar_lessons.tta.results import SETS, Recorded

TABLES = [
    report.gains_table,
    report.per_pass_table,
    report.merges_table,
    report.validation_table,
]


@pytest.mark.parametrize("table", TABLES)
def test_a_study_that_is_not_recorded_makes_an_empty_table(table):
    found = table(None)
    assert found.rows == []
    assert found.caption == "Nothing is recorded yet."


def test_the_card_says_how_it_was_made_and_what_is_missing(study):
    said = str(report.card(study))
    assert (
        "2 networks, one seed each, Made-up CPU, bf16, torch 9.8.7, commit abcdef0, 3 min" in said
    )
    assert "Not looked at yet: late; `cifar-lessons study tta --record` adds them." in said
    for nothing in (None, Recorded({}, {}, ("late",))):
        assert "Not recorded yet: `cifar-lessons study tta --record`" in str(report.card(nothing))


def test_gains_have_their_counts_and_a_star_only_after_correction(study):
    table = report.gains_table(study)
    assert table.columns == ["Set", "Passes", "weak (70.00 %)", "strong (90.00 %)"]
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["flip"] == ["2", "+2.00* (+300, −100)", "+0.40 (+120, −80)"]
    assert rows["rotations_90"][2] == "−9.00* (+50, −950)"
    assert rows["shifts"][1] == "+0.20 (+60, −40)"
    assert "Holm-corrected for the 18 cells" in table.caption


def test_gain_per_extra_pass(study):
    rows = {row[0]: row[1:] for row in report.per_pass_table(study).rows}
    assert rows["flip"] == ["1", "+2.00", "+0.40"]
    assert rows["article"] == ["4", "+0.57", "+0.05"]


def test_means_stand_side_by_side(study):
    weak, strong = report.merges_table(study, "flip").rows
    assert weak == ["weak", "70.00 %", "72.00 %", "72.00 %", "0.3000", "0.2500", "0.2600"]
    assert strong[0] == "strong"


def test_choices_on_validation_are_reported_on_test_and_hindsight_is_called_so(study):
    [row] = report.validation_table(study).rows  # the strong one has no validation images
    assert row == [
        *("weak", "flip: +2.00", "+0.50 in 2 passes", "plain 0.60, flip 0.40", "article: +2.30"),
    ]
    assert "the test images chose" in report.validation_table(study).caption


def test_the_sets_are_listed_with_their_views():
    rows = report.sets_table().rows
    assert [row[0] for row in rows] == list(SETS)
    assert rows[0][2:] == ("2", "plain, flip")


def test_seeds_are_accounted_for_where_every_seed_was_scored_with_views(recorded):
    assert report.over_seeds().rows == []
    recorded("speednet", 0.90, seeds=range(3))
    for seed in range(3):
        folder = runs.runs_root() / "speednet" / f"seed{seed}"
        plain = runs.read_run(folder).logits("test")
        better = plain.logits.copy()
        wrong = np.flatnonzero(~plain.correct)[: 10 + 2 * seed]
        better[wrong] = np.eye(10)[plain.labels[wrong]]
        (folder / "test_views_logits.npz").write_bytes(
            recording._npz(Predictions(better, plain.labels))
        )
    [row] = report.over_seeds().rows
    assert row[:3] == ["speednet", "flip_shift, 25 % of the images", "3"]
    assert row[3].startswith("+0.60 (")  # 12 of 2,000 images on average
    assert row[4] == "+0.50 to +0.70"
    assert recipes.get("speednet").views is not None


def test_all_of_it_as_text(study):
    text = report.as_text(study)
    assert text.count("Points of test accuracy gained over one look") == 2
    assert "article_turns" in text
    assert text.endswith("adds them.")
