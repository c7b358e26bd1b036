"""Mirrors cifar_lessons/reports.py."""

from dataclasses import replace

import pytest

from cifar_lessons import recipes, reports
from cifar_lessons.config import ModelConfig
from cifar_lessons.errors import UserError


def test_available_leaves_out_what_is_not_recorded_and_keeps_labels(recorded):
    recorded("simple_cnn", 0.75, seeds=(0, 2))
    found = reports.available({"plain": "simple_cnn", "deep": recipes.deep_cnn()})
    assert list(found) == ["plain"]
    assert [run.seed for run in found["plain"]] == [0, 2]
    assert list(reports.available(["simple_cnn"])) == ["simple_cnn"]


def test_available_refuses_a_name_that_is_no_recipe(recorded):
    with pytest.raises(UserError, match=r"'simple_cn'.*'simple_cnn'"):
        reports.available(["simple_cn"])


def test_the_note_names_missing_seeds_and_the_commands(recorded):
    recorded("simple_cnn", 0.75, seeds=range(3))
    note = reports.missing_note(["simple_cnn", "resnet18"])
    assert "`simple_cnn`: 2 of 5 seeds not recorded yet" in note
    assert "`cifar-lessons train simple_cnn --seed 3`" in note
    assert "`resnet18`: 1 of 1 seeds not recorded yet" in note
    recorded("simple_cnn", 0.75, seeds=range(5))
    assert reports.missing_note(["simple_cnn"]) == ""


def test_stale_runs_are_not_used_and_said_to_be_stale(recorded, monkeypatch):
    recorded("resnet18", 0.93)
    changed = replace(recipes.resnet18(), epochs=11)
    assert reports.available([changed]) == {}
    assert "1 of 1 seeds recorded with other settings" in reports.missing_note([changed])


def test_the_card_is_one_line_of_provenance(recorded):
    recorded("simple_cnn", 0.75, seeds=range(3))
    card = reports.card(reports.available(["simple_cnn"])["simple_cnn"])
    assert card == (
        "*Recorded: 3 seeds, Made-up CPU, 2 threads, bf16, torch 9.8.7, commit abcdef0, "
        "4.0 core-minutes each.*"
    )
    assert reports.card([]) == "*Not recorded yet.*"


def test_the_card_names_several_processes_but_not_one(recorded):
    recorded("simple_cnn", 0.75, seeds=range(2))
    first, second = reports.available(["simple_cnn"])["simple_cnn"]
    first.provenance["world_size"], second.provenance["world_size"] = 1, 4
    assert "Made-up CPU, 4 processes, 2 threads, " in reports.card([first, second])
    assert "processes" not in reports.card([first])


def test_folds_are_called_folds(recorded):
    recorded("folds_base", 0.79)
    assert "5 of 5 folds not recorded yet; `cifar-lessons train folds_base --folds 5 --seed 0`" in (
        reports.missing_note(["folds_base"])
    )
    recorded("simple_cnn", 0.75)
    [run] = reports.available(["simple_cnn"])["simple_cnn"]
    run.recipe["data"] |= {"folds": 5, "fold": 3}
    assert reports.card([run, run]).startswith("*Recorded: 2 folds, Made-up CPU")


def test_the_card_tells_a_surprise(recorded):
    recorded("resnet18", 0.5, surprise="half of the epochs were lost")
    card = reports.card(reports.available(["resnet18"])["resnet18"])
    assert "1 seed, " in card
    assert "Seed 0 is outside its band: half of the epochs were lost." in card


def test_a_surprise_among_several_recipes_says_whose_it_is(recorded):
    recorded("resnet18", 0.5, surprise="half of the epochs were lost")
    recorded("simple_cnn", 0.75)
    found = reports.available(["resnet18", "simple_cnn"])
    card = reports.card([run for seeds in found.values() for run in seeds])
    assert "Seed 0 of `resnet18` is outside its band: half of the epochs were lost." in card


def test_the_results_table_computes_from_stored_logits(recorded):
    recorded("simple_cnn", 0.75, seeds=range(3), parameters=2_122_186)
    found = reports.available({"plain": "simple_cnn"})
    table = reports.results_table(found)
    mean = sum(run.final["test_accuracy"] for run in found["plain"]) / 3
    label, accuracy, interval, seeds, parameters, minutes = table.rows[0]
    assert (label, seeds, parameters, minutes) == ("plain", "3", "2,122,186", "4.0")
    assert accuracy == f"{100 * mean:.2f} %"
    low, high = (float(x) for x in interval.removesuffix(" %").split(" to "))
    assert low < 100 * mean < high
    assert reports.results_table({}).caption == "Nothing is recorded yet."


def test_recipe_diff_shows_the_experiment_and_nothing_else():
    table = reports.recipe_diff(recipes.resnet18_w16(), recipes.resnet18_w16_no_bn())
    assert table.rows == [
        ("optim.peak_lr", "0.1", "0.01"),
        ("model.options.norm", "–", "False"),
    ]
    same = replace(recipes.resnet18_w16(), name="other", seeds=9, about="words", expects=None)
    assert reports.recipe_diff(recipes.resnet18_w16(), same).rows == []
    none = replace(same, model=ModelConfig(name="resnet18", options={"width": 16, "x": None}))
    assert reports.recipe_diff(same, none).rows == [("model.options.x", "–", "None")]


def test_targets_are_told_by_seed_with_core_seconds_and_never_as_a_dash(recorded):
    # A second by the clock is 1.5 core-seconds in the first run, and 1.33 in the second.
    # Validation accuracy rises in thirds: 0.26, 0.52, 0.78.
    recorded("simple_cnn", 0.78, seeds=range(2))
    found = reports.available({"plain": "simple_cnn"})
    for seed, run in enumerate(found["plain"]):
        for row in run.history:
            row["seconds"] = row["epoch"] * (10 + 2 * seed)
    found["plain"][1].history[1]["val_accuracy"] = 0.4
    table = reports.targets_table(found, (0.5, 0.78, 0.9))
    assert list(table.columns) == [
        *("Schedule", "50 %", "78 %", "90 %", "Core-seconds an epoch", "Final test accuracy")
    ]
    [row] = table.rows
    assert list(row)[:5] == ["plain", "2, 3 (39 s)", "3, 3 (46 s)", "–, –", "70"]
    assert str(row[5]).startswith("78.")


def test_targets_of_runs_without_seconds_and_of_no_runs(recorded):
    recorded("simple_cnn", 0.78)
    [row] = reports.targets_table(reports.available(["simple_cnn"]), (0.5,)).rows
    assert list(row)[:3] == ["simple_cnn", "2", "60"]
    empty = reports.targets_table({}, (0.5,))
    assert (list(empty.rows), empty.caption) == ([], "Nothing is recorded yet.")
