"""Mirrors cifar_lessons/pretraining/report.py."""

from dataclasses import replace

import pytest

from cifar_lessons import recipes
from cifar_lessons.pretraining import report, results


def test_a_row_a_share_with_gains_and_probes(few):
    table = report.shares_table(results.trained(), results.recorded())
    assert list(table.columns) == [
        *("Labels", "From scratch", "After SimCLR", "After VICReg"),
        *("Linear on untrained", "Linear on simclr_w16"),
    ]
    rows = {str(row[0]): [str(cell) for cell in row[1:]] for row in table.rows}
    assert set(rows) == {"1 %", "10 %", "100 %"}
    scratch, simclr, _, untrained, linear = rows["1 %"]
    assert scratch.startswith("40.")
    gain = report.gain(results.trained(), "after SimCLR", 0.01)
    assert gain is not None
    assert f": {100 * gain.mean:+.1f} (" in simclr
    assert untrained.startswith("20.0")
    assert linear.startswith("50.0")
    assert ": " not in rows["10 %"][2]  # no partner from scratch
    assert rows["100 %"][1] == "–"


def test_a_gain_is_paired_over_the_seeds_of_both(few):
    gain = report.gain(results.trained(), "after VICReg", 0.01)
    assert gain is not None
    assert gain.n == 2
    assert gain.mean == pytest.approx(0.15, abs=0.02)
    assert report.gain(results.trained(), "after VICReg", 0.1) is None


def test_costs_name_what_is_counted(few):
    rows = [[str(cell) for cell in row] for row in report.costs_table().rows]
    assert [row[0] for row in rows] == ["simclr_w16"]
    assert rows[0][1] == "3,584,000"


@pytest.mark.parametrize(
    ("accuracy", "said"),
    [
        (0.80, "points above fine-tuning from features (+"),
        (0.40, "points below fine-tuning from features (−"),
        (0.60, "ends not clearly apart from fine-tuning from features (−"),
    ],
)
def test_the_control_is_told_in_a_sentence(recorded, accuracy, said):
    assert str(report.control_note()) == ""
    recorded("labels10_simclr", 0.60, seeds=range(3))
    recorded(results.LONG, accuracy)
    told = str(report.control_note())
    assert said in told
    assert "; n = 1)" in told  # the control has one seed


@pytest.mark.parametrize(
    ("name", "views"),
    [
        ("resnet18_w16_fp32", 12 * 351 * 128),
        ("labels1_scratch", 200 * 7 * 64),
        ("labels10_simclr", 40 * 35 * 128),
        ("simclr_w16", 2 * 40 * 175 * 256),
    ],
)
def test_views_are_steps_times_batch(name, views):
    assert report.views_of(name) == views
    assert recipes.get(name).data.val_size == 5_000


def test_with_nothing_recorded_everything_says_so(recorded):
    assert report.shares_table({}, None).caption == "Nothing is recorded yet."
    assert report.costs_table().caption == "Nothing is recorded yet."
    told = "cifar-lessons study probes --record"
    assert told in report.probes_card(None)


def test_the_card_says_how_and_what_is_missing(few):
    study = results.recorded()
    assert "Made-up CPU, torch 9.8.7, commit abcdef0" in report.probes_card(study)
    later = report.probes_card(replace(study, missing=("vicreg_w16",)))
    assert "Not probed yet: vicreg_w16; `cifar-lessons study probes --record` adds them" in later
