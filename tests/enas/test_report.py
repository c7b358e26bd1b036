"""Mirrors cifar_lessons/enas/report.py: words and tables about what is recorded, or what is not."""

import numpy as np

from cifar_lessons.enas import report, results


def test_what_is_missing_is_said_with_its_command(monkeypatch, tmp_path):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    assert "`cifar-lessons search enas_uniform`" in report.card(None, "enas_uniform")
    assert "not recorded yet" in report.found_note(None)
    assert "not recorded yet" in report.tau_note(None)
    assert report.networks_table([]).caption == "Nothing is recorded yet."
    told = report.missing(["enas_conv3", "enas_sep3"])
    assert "`enas_conv3`, `enas_sep3`" in told
    assert "`cifar-lessons train enas_conv3 --seed 0`" in told


def test_seeds_that_are_missing_are_named(recorded):
    recorded("enas_conv3", 0.76, seeds=range(5))
    recorded("enas_random0", 0.75, seeds=(0,))
    told = report.missing(["enas_conv3", "enas_random0", "enas_random1"])
    assert "**Not recorded yet:** `enas_random0` (seed 1), `enas_random1`." in told
    assert "`cifar-lessons train enas_random0 --seed 1`" in told


def test_the_card_says_how_the_search_was_made_and_what_was_chosen(recorded_search):
    recorded_search()
    card = report.card(results.load())
    assert "Made-up CPU" in card
    assert "Of 2 candidates" in card
    assert "`c5/s3+0/c3+1/s5+2/c3+3/mp+4`" in card
    assert "70.00 % of the validation images" in card


def test_the_note_says_what_was_found_and_how_far_the_controller_moved(recorded_search):
    recorded_search()
    note = report.found_note(results.load())
    assert "2 × 3x3 convolution, 1 × separable 3x3" in note
    assert "33 % of the possible skips" in note
    assert "probability of 0.30" in note


def test_the_table_has_the_best_first_with_its_cost(everything):
    table = report.networks_table(results.alone())
    assert table.rows[0][0] == "found by random search"
    assert table.rows[-1][0] == "all 3x3"
    assert table.rows[-1][2:4] == ["24", "9.3"]
    minutes = [run.core_minutes for run in results.alone()[0].seeds]
    assert table.columns[-1] == "Core-minutes"
    assert table.rows[-1][-1] == f"{np.median(minutes):.1f}"
    assert len(table.rows) == 14
    assert report.missing(["enas_random0"]) == ""


def test_what_searches_found_is_given_its_place(everything):
    told = report.standing(results.alone(), results.searches())
    assert told.startswith("In these runs the network found by ENAS is in place ")
    assert " of 14, and with shared weights it had 70.0 % on validation images" in told
    assert report.standing([], {}) == ""


def test_tau_is_told_as_a_share_of_pairs(everything):
    ranked = results.ranking(results.load(), results.alone())
    note = report.tau_note(ranked)
    share = 100 * (1 + ranked.tau) / 2
    assert f"over {len(ranked.names)} networks" in note
    assert f"put {share:.0f} % of all pairs" in note
