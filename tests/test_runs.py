"""Mirrors cifar_lessons/runs.py: what is read is fresh, and what is missing says what to type."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from records import HISTORY, PROVENANCE, predictions, write_folds

from cifar_lessons import recipes, recording, runs
from cifar_lessons.config import Recipe, in_fold
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import accuracy, negative_log_likelihood
from cifar_lessons.fields import override
from cifar_lessons.runs import MissingRun, StaleRun


@pytest.fixture
def recipe() -> Recipe:
    return dataclasses.replace(
        recipes.simple_cnn(), keep_weights=False
    )  # band 0.71 to 0.76, 5 seeds


@pytest.fixture
def crossed() -> Recipe:
    return recipes.folds_base()  # band 0.72 to 0.86, one seed of five folds


# --- reading -------------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was_written(folders, recipe):
    found = runs.read_run(folders.write(recipe, seed=3))
    assert (found.name, found.seed, found.key, found.kind) == ("simple_cnn", 3, "seed3", "train")
    assert found.final == {
        "test_accuracy": 0.74,
        "test_loss": negative_log_likelihood(predictions(0.74)),
        "val_accuracy": 0.5,
        "val_loss": negative_log_likelihood(predictions(0.5)),
    }
    assert found.history == [{**HISTORY[0], "train_loss": 1.23457}, HISTORY[1]]
    assert found.minutes == 1.5
    assert found.core_minutes == 1.5  # of an accelerator, or from before it was kept
    busy = found.provenance | {"cpu_seconds": 150.0, "threads": 2}
    assert dataclasses.replace(found, provenance=busy).core_minutes == 2.5
    assert (found.parameters, found.surprise, found.weights) == (12, None, None)
    for split, right in (("test", 0.74), ("val", 0.5)):
        stored = found.logits(split)
        np.testing.assert_array_equal(stored.logits, predictions(right).logits)
        np.testing.assert_array_equal(stored.labels, predictions(right).labels)
        assert stored.logits.dtype == np.float32
        assert stored.labels.dtype == np.int64
        assert accuracy(stored) == found.final[f"{split}_accuracy"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "has schema None, this version reads 1"),
        ('{"schema": 2}', "has schema 2, this version reads 1"),
        ('{"schema": 1}', "has no 'recipe'"),
    ],
)
def test_a_damaged_run_is_told(folders, recipe, content, said):
    path = folders.write(recipe) / "run.json"
    path.write_text(content)
    with pytest.raises(UserError) as error:
        runs.read_run(path.parent)
    assert str(path) in str(error.value)
    assert said in str(error.value)
    assert str(error.value).endswith("record the run again")


@pytest.mark.parametrize("name", ["run.json", "history.csv"])
def test_half_a_run_is_no_run(folders, recipe, name):
    folder = folders.write(recipe)
    (folder / name).unlink()
    with pytest.raises(MissingRun, match=r"no run in .*: it needs run.json and history.csv"):
        runs.read_run(folder)


@pytest.mark.parametrize("harm", ["missing", "empty", "truncated", "text", "pickle", "one array"])
def test_damaged_logits_are_told(folders, recipe, harm):
    found = runs.read_run(folders.write(recipe))
    path = found.folder / "test_logits.npz"
    raw = path.read_bytes()
    match harm:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(raw[: len(raw) // 2])
        case "text":
            path.write_text("no archive")
        case "pickle":
            np.savez(path, logits=np.array([{}], dtype=object), labels=np.array([0]))
        case "one array":
            np.savez(path, logits=predictions(0.5).logits)
    with pytest.raises(UserError) as error:
        found.logits("test")
    assert str(path) in str(error.value)
    assert str(error.value).endswith("record the run again")


# --- is it fresh? -----------------------------------------------------------------------------

AGAIN = (
    "run `cifar-lessons train simple_cnn --seed 1`, then `cifar-lessons record simple_cnn --seed 1`"
)


def test_a_missing_run_says_what_to_type(folders, recipe):
    with pytest.raises(MissingRun) as error:
        runs.load_run(recipe, seed=1, root=folders.root)
    assert str(error.value) == f"simple_cnn seed 1 is not recorded yet: {AGAIN}"


def test_a_stale_run_names_the_field_and_says_what_to_type(folders, recipe):
    folders.write(override(recipe, "optim.peak_lr=0.002"), seed=1, recorded=True)
    with pytest.raises(StaleRun) as error:
        runs.load_run(recipe, seed=1, root=folders.root)
    assert str(error.value) == (
        "simple_cnn seed 1 was recorded with other settings (optim.peak_lr: recorded 0.002, "
        f"now 0.001): {AGAIN}"
    )


def test_a_bumped_revision_makes_a_run_stale(folders, recipe):
    folders.write(recipe, recorded=True)
    with pytest.raises(StaleRun, match="revision: recorded 1, now 2"):
        runs.load_run(dataclasses.replace(recipe, revision=2), root=folders.root)


def test_a_fresh_run_is_loaded(folders, recipe):
    folders.write(recipe, recorded=True)
    assert runs.load_run(recipe, root=folders.root).final["test_accuracy"] == 0.74


def test_all_seeds_that_are_there_are_loaded(folders, recipe):
    for seed in (0, 3):
        folders.write(recipe, seed=seed, recorded=True)
    assert [run.seed for run in runs.load_seeds(recipe, root=folders.root)] == [0, 3]
    with pytest.raises(MissingRun, match="deep_cnn is not recorded yet: run `cifar-lessons train"):
        runs.load_seeds(recipes.deep_cnn(), root=folders.root)
    folders.write(override(recipe, "epochs=3"), seed=4, recorded=True)
    with pytest.raises(StaleRun, match=r"seed 4 .*epochs: recorded 3, now 12"):
        runs.load_seeds(recipe, root=folders.root)


def test_status_tells_fresh_stale_and_missing(folders, recipe):
    folders.write(recipe, seed=0, recorded=True)
    folders.write(override(recipe, "epochs=3"), seed=2, recorded=True)
    found = runs.status(recipe, root=folders.root)
    assert [(seed, state) for seed, state, _ in found] == [
        *((0, "fresh"), (1, "missing"), (2, "stale"), (3, "missing"), (4, "missing"))
    ]
    assert [run is not None for _, _, run in found] == [True, False, False, False, False]


def test_the_folder_of_records_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    assert runs.runs_root() == tmp_path
    monkeypatch.delenv("CIFAR_LESSONS_RUNS")
    assert runs.runs_root() == Path(runs.__file__).parent.parent / "book" / "runs"


# --- folds ------------------------------------------------------------------------------------


def test_a_fold_has_a_name_of_its_own_and_knows_what_it_held_out(folders, crossed):
    write_folds(folders, crossed, recorded=True)
    run = runs.load_run(in_fold(crossed, 3, folds=5, seed=0), root=folders.root)
    assert (run.key, run.fold, run.seed) == ("seed0-fold3", 3, 0)
    assert run.index().tolist() == list(range(3, 100, 5))
    with np.load(run.folder / "val_logits.npz") as stored:
        assert stored["index"].dtype == np.uint16
    with np.load(run.folder / "test_logits.npz") as stored:
        assert "index" not in stored
    # The registered recipe is of the first fold, and a seed draws its own partition.
    assert runs.load_run(crossed, root=folders.root).fold == 0
    write_folds(folders, crossed, seed=4, recorded=True)
    assert runs.load_run(crossed, seed=4, root=folders.root).recipe["data"]["split_seed"] == 4


def test_a_run_outside_of_a_cross_validation_has_no_fold(folders, recipe):
    run = runs.read_run(folders.write(recipe))
    assert run.fold is None
    with pytest.raises(UserError, match=r"cannot read .*val_logits.npz"):
        run.index()
    old = dataclasses.replace(run, recipe={"name": "old", "data": {"val_size": 5_000}})
    assert old.fold is None  # recorded before there were folds


def test_status_has_a_row_a_fold(folders, crossed):
    write_folds(folders, crossed, (0, 1), recorded=True)
    write_folds(folders, override(crossed, "epochs=3"), (3,), recorded=True)
    found = runs.status(crossed, root=folders.root)
    assert [(seed, state) for seed, state, _ in found] == [
        *((0, "fresh"), (0, "fresh"), (0, "missing"), (0, "stale"), (0, "missing"))
    ]


def test_a_missing_or_stale_fold_says_what_to_type(folders, crossed):
    again = (
        "run `cifar-lessons train folds_base --folds 5 --seed 0`, then `cifar-lessons record "
        "folds_base --folds 5 --seed 0`"
    )
    second = in_fold(crossed, 1, folds=5, seed=0)
    with pytest.raises(MissingRun) as missing:
        runs.load_run(second, root=folders.root)
    assert str(missing.value) == f"folds_base seed 0 fold 1 is not recorded yet: {again}"
    write_folds(folders, override(crossed, "epochs=3"), recorded=True)
    with pytest.raises(StaleRun) as stale:
        runs.load_run(second, root=folders.root)
    assert str(stale.value) == (
        "folds_base seed 0 fold 1 was recorded with other settings (epochs: recorded 3, now 8): "
        + again
    )


# --- finding a run ----------------------------------------------------------------------------


def test_a_run_is_found_by_folder_by_name_and_by_seed(folders, recipe):
    folders.write(recipe, seed=0, recorded=True)
    folders.write(recipe, seed=1, recorded=True)
    mine = folders.write(recipe, seed=2)
    for text, seed in (("simple_cnn", 0), ("simple_cnn/seed1", 1), (str(mine), 2)):
        assert runs.find_run(text, root=folders.root).seed == seed
    with pytest.raises(MissingRun, match=r"no run 'simple_cn', .*: did you mean 'simple_cnn'\?"):
        runs.find_run("simple_cn", root=folders.root)


def test_a_run_that_is_not_there_is_told_by_what_is(folders, recipe, monkeypatch, tmp_path):
    for seed in (0, 1):
        folders.write(recipe, seed=seed, recorded=True)
    with pytest.raises(MissingRun, match=r"no run 'simple_cnn/seed9': of .*, seed0, seed1 are rec"):
        runs.find_run("simple_cnn/seed9", root=folders.root)
    with pytest.raises(MissingRun, match=r"the folder .* holds no run: there is no run.json in it"):
        runs.find_run(str(tmp_path), root=folders.root)
    with pytest.raises(MissingRun, match="known: simple_cnn"):
        runs.find_run("qqq", root=folders.root)
    monkeypatch.setattr(runs, "MOST_NAMED", 0)
    with pytest.raises(MissingRun, match="`cifar-lessons list` shows what is recorded"):
        runs.find_run("qqq", root=folders.root)


def test_a_split_whose_answers_are_not_kept_is_no_damage(folders, recipe):
    run = runs.read_run(str(folders.write(recipe, seed=0)))
    with pytest.raises(ValueError, match="split must be one of test, val, test_views, got 'train'"):
        run.logits("train")


# --- studies ----------------------------------------------------------------------------------


def test_a_study_comes_back(folders):
    recording.record_study("counts", {"images": 3}, provenance=PROVENANCE, root=folders.root)
    found = runs.load_study("counts", root=folders.root)
    assert found["values"] == {"images": 3}
    assert found["provenance"] == PROVENANCE
    assert (found["schema"], found["kind"]) == (1, "study")


def test_a_study_that_is_missing_is_none_to_who_only_looks(folders):
    assert runs.find_study("counts", root=folders.root) is None


def test_a_study_that_is_missing_or_damaged_says_what_to_type(folders):
    with pytest.raises(MissingRun, match=r"study 'counts' is not recorded yet: run `cifar-lessons"):
        runs.load_study("counts", root=folders.root)
    path = recording.record_study("counts", {}, provenance=PROVENANCE, root=folders.root)
    path.write_text("{")
    with pytest.raises(UserError, match=r"counts.json cannot be read .* study counts --record`"):
        runs.load_study("counts", root=folders.root)


@pytest.mark.parametrize(
    ("study", "command"),
    [
        ("data_facts", "study data_facts"),
        ("bench_precision", "bench precision"),
        ("roofline", "bench roofline"),
        ("bench_resnet18", "bench train --model resnet18"),
    ],
)
def test_a_study_names_the_command_that_measures_it(study, command, folders):
    assert runs.study_command(study) == f"cifar-lessons {command} --record"
    with pytest.raises(MissingRun, match=f"run `cifar-lessons {command} --record`"):
        runs.load_study(study, root=folders.root)


def test_the_commands_of_benchmarks_exist():
    from cifar_lessons.bench_commands import BENCHES
    from cifar_lessons.cli import COMMANDS

    for command in runs.MEASURED_BY.values():
        first, second, *_ = command.split()
        assert first in COMMANDS
        assert first != "bench" or second in BENCHES
