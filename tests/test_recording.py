"""Mirrors cifar_lessons/recording.py: what is recorded is proven first, and written whole."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
from records import PROVENANCE, write_folds
from safetensors.numpy import load_file

from cifar_lessons import recipes, recording, runs
from cifar_lessons.config import Distillation, Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import Predictions, accuracy
from cifar_lessons.fields import override
from cifar_lessons.runs import MissingRun, StaleRun


@pytest.fixture
def recipe() -> Recipe:
    return dataclasses.replace(
        recipes.simple_cnn(), keep_weights=False
    )  # band 0.71 to 0.76, 5 seeds


# --- a finished run ---------------------------------------------------------------------------


def test_logits_are_stored_as_halves_and_labels_as_bytes(folders, recipe):
    with np.load(folders.write(recipe) / "test_logits.npz") as stored:
        assert {name: stored[name].dtype for name in stored} == {
            "logits": np.float16,
            "labels": np.uint8,
        }


def test_run_json_comes_last(folders, recipe, monkeypatch):
    """So that a folder which holds one is whole."""
    written = []
    monkeypatch.setattr(
        recording, "write_atomically", lambda path, *_, **__: written.append(path.name)
    )
    folders.outputs.joinpath("simple_cnn/seed0").mkdir(parents=True)
    folders.write(recipe)
    assert written == ["history.csv", "test_logits.npz", "val_logits.npz", "run.json"]


def test_a_full_disk_is_told(folders, recipe):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full: a device that is full")
    folder = folders.outputs / "simple_cnn" / "seed0"
    folder.mkdir(parents=True)
    (folder / "test_logits.npz.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"test_logits.npz: No space left on device; free some"):
        folders.write(recipe)
    assert not (folder / "run.json").exists()


def test_large_logits_keep_their_probabilities_in_half_precision():
    logits = np.array([[1e5, 1e5 - 1, 0.0], [3.25, -2.5, 1e-3], [-1e5, -2e5, -1e5 - 2]], np.float32)
    half = recording.half(logits)
    assert half.dtype == np.float16
    assert np.isfinite(half).all()
    np.testing.assert_array_equal(half[1], logits[1].astype(np.float16))
    np.testing.assert_array_equal(half[0], np.array([0.0, -1.0, -65504.0], np.float16))
    np.testing.assert_array_equal(half[2], np.array([0.0, -65504.0, -2.0], np.float16))


# --- recording --------------------------------------------------------------------------------


def test_a_clean_run_is_recorded(folders, recipe):
    source = folders.write(recipe, seed=2)
    run = folders.record(recipe, seed=2)
    assert run.folder == folders.root / "simple_cnn" / "seed2"
    names = ["history.csv", "run.json", "test_logits.npz", "val_logits.npz"]
    assert sorted(p.name for p in run.folder.iterdir()) == names  # this recipe keeps no weights
    for name in names:
        assert (run.folder / name).read_bytes() == (source / name).read_bytes()
    assert runs.load_run(recipe, seed=2, root=folders.root) == run


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        (
            {"provenance": {"data_digest": "synthetic"}},
            UserError,
            "was trained on synthetic data, never recorded; delete the folder, then `cifar-lessons",
        ),
        (
            {"provenance": {"git_dirty": True}},
            UserError,
            "was trained from uncommitted code; commit it, delete the folder, then `cifar-lessons",
        ),
        (
            {"facts": {"official_order": False}},
            UserError,
            "in another order than the official one; `cifar-lessons data --official-order`",
        ),
        (
            {"recipe": "optim.peak_lr=0.002"},
            StaleRun,
            "was made with other settings (optim.peak_lr: recorded 0.002, now 0.001); delete the",
        ),
        (
            {"right": 0.5},
            UserError,
            "gave a test accuracy of 0.5000, outside its band [0.71, 0.76]; keep it with "
            "--surprise 'the reason'",
        ),
        ({"right": 0.8}, UserError, "gave a test accuracy of 0.8000, outside its band"),
    ],
)
def test_what_must_not_be_recorded_is_refused(folders, recipe, how, kind, said):
    changed = override(recipe, how["recipe"]) if "recipe" in how else recipe
    folders.write(
        changed,
        right=how.get("right", 0.74),
        facts=how.get("facts"),
        **how.get("provenance", {}),
    )
    with pytest.raises(kind) as error:
        folders.record(recipe)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not folders.root.exists()


def test_an_unfinished_run_is_refused(folders, recipe):
    with pytest.raises(MissingRun, match=r"no finished run in .*seed0; run `cifar-lessons train"):
        folders.record(recipe)


@pytest.mark.parametrize("seed", [-1, 5])
def test_a_seed_that_was_not_planned_is_refused(folders, recipe, seed):
    folders.write(recipe, seed=seed)
    with pytest.raises(UserError, match=rf"seed {seed} is not among the planned .* \(0 to 4\)"):
        folders.record(recipe, seed=seed)


def test_a_run_of_another_seed_in_this_one_s_folder_is_refused(folders, recipe):
    folders.write(recipe, seed=1).rename(folders.outputs / "simple_cnn" / "seed0")
    with pytest.raises(StaleRun, match="seed: recorded 1, now 0"):
        folders.record(recipe)


def test_a_surprise_is_kept_with_its_reason(folders, recipe):
    folders.write(recipe, right=0.5)
    run = folders.record(recipe, surprise="a bad start")
    assert run.surprise == "a bad start"
    assert runs.load_run(recipe, root=folders.root).final["test_accuracy"] == 0.5


def test_a_recipe_without_a_band_takes_any_result(folders):
    recipe = recipes.resnet18_w16_no_skip()
    folders.write(recipe, right=0.1)
    assert folders.record(recipe).surprise is None


def test_seed_0_keeps_its_weights_in_half_precision(folders):
    recipe = recipes.simple_cnn_flip_crop()
    folders.write(recipe, right=0.8)
    run = folders.record(recipe)
    path = run.folder / "weights.safetensors"
    raw = path.read_bytes()
    assert run.weights == {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    kept = load_file(path)
    assert kept["layer.weight"].dtype == np.float16
    np.testing.assert_allclose(kept["layer.weight"], np.linspace(-3, 3, 7), rtol=1e-3)
    assert kept["layer.steps"] == 7
    assert kept["layer.steps"].dtype == np.int64
    folders.write(recipe, seed=1, right=0.8)
    other = folders.record(recipe, seed=1)
    assert other.weights is None
    assert not (other.folder / "weights.safetensors").exists()


@pytest.mark.parametrize(("harm", "said"), [("missing", "is missing"), ("damaged", "is damaged")])
def test_weights_that_should_be_kept_must_be_there(folders, harm, said):
    recipe = recipes.simple_cnn_flip_crop()
    weights = folders.write(recipe, right=0.8) / "weights.safetensors"
    weights.unlink() if harm == "missing" else weights.write_bytes(b"harmed")
    with pytest.raises(UserError, match=f"weights.safetensors {said}"):
        folders.record(recipe)
    assert not (folders.root / recipe.name / "seed0" / "run.json").exists()


def test_records_that_cannot_be_written_are_told(folders, recipe):
    folders.write(recipe)
    folders.root.write_text("a file in their place")
    with pytest.raises(UserError, match=r"cannot write .*; make the folder of recorded runs"):
        folders.record(recipe)


@pytest.fixture
def crossed() -> Recipe:
    return recipes.folds_base()  # band 0.72 to 0.86, one seed of five folds


def test_all_folds_are_recorded_together(folders, crossed):
    write_folds(folders, crossed)
    where = {"outputs": folders.outputs, "root": folders.root}
    found = recording.record_folds(crossed, folds=5, seed=0, **where)
    assert [run.key for run in found] == [f"seed0-fold{k}" for k in range(5)]
    assert [run.fold for run in runs.load_seeds(crossed, root=folders.root)] == [0, 1, 2, 3, 4]
    names = ["history.csv", "run.json", "test_logits.npz", "val_logits.npz"]
    assert all(sorted(p.name for p in run.folder.iterdir()) == names for run in found)
    assert runs.find_run("folds_base", root=folders.root).fold == 0
    assert runs.find_run("folds_base/seed0-fold4", root=folders.root).fold == 4


def test_a_fold_that_may_not_be_recorded_leaves_none_recorded(folders, crossed):
    write_folds(folders, crossed)
    write_folds(folders, crossed, (4,), git_dirty=True)
    where = {"outputs": folders.outputs, "root": folders.root}
    with pytest.raises(UserError, match="seed0-fold4 was trained from uncommitted code"):
        recording.record_folds(crossed, folds=5, seed=0, **where)
    with pytest.raises(StaleRun, match=r"data.folds: recorded 5, now 4"):
        recording.record_folds(crossed, folds=4, seed=0, **where)
    assert not folders.root.exists()


def test_a_study_measured_with_uncommitted_code_is_refused(folders):
    dirty = {**PROVENANCE, "git_dirty": True}
    with pytest.raises(UserError, match=r"'counts' was measured with uncommitted code; commit it"):
        recording.record_study("counts", {}, provenance=dirty, root=folders.root)
    assert not folders.root.exists()


# --- a run that begins with another's weights ----------------------------------------------------


def test_first_weights_must_be_those_that_are_recorded(folders, recipe, monkeypatch):
    first = dataclasses.replace(recipe, name="first", keep_weights=True)
    later = dataclasses.replace(recipe, name="later", init="first")
    for made in (first, later):
        monkeypatch.setitem(recipes.RECIPES, made.name, lambda made=made: made)
    folders.write(later, init={"name": "first seed0", "digest": "0" * 64})
    with pytest.raises(MissingRun, match=r"weights of first that are not recorded; record first,"):
        folders.record(later)
    folders.write(first)
    kept = folders.record(first).weights["sha256"]
    with pytest.raises(StaleRun, match="is built on other weights than the recorded first's"):
        folders.record(later)
    folders.write(later, init={"name": "first seed0", "digest": kept})
    assert folders.record(later).name == "later"
    assert runs.load_run(later, root=folders.root).name == "later"
    # A later record of the weights makes the run stale.
    (folders.root / "first" / "seed0" / "run.json").write_text(
        (folders.root / "first" / "seed0" / "run.json").read_text().replace(kept, "1" * 64)
    )
    with pytest.raises(StaleRun, match="built on other weights than those of first that are reco"):
        runs.load_run(later, root=folders.root)


def test_a_teacher_must_be_the_recorded_one_where_the_run_notes_it(folders, recipe, monkeypatch):
    first = dataclasses.replace(recipe, name="first", keep_weights=True)
    later = dataclasses.replace(recipe, name="later", objective=Distillation(teacher="first"))
    for made in (first, later):
        monkeypatch.setitem(recipes.RECIPES, made.name, lambda made=made: made)
    folders.write(first)
    kept = folders.record(first).weights["sha256"]
    folders.write(later, teacher={"name": "first seed0", "weights": "0" * 64})
    with pytest.raises(StaleRun, match="is built on other weights than the recorded first's"):
        folders.record(later)
    for teacher in ({"name": "first seed0", "weights": kept}, {"name": "first seed0"}):
        folders.write(later, teacher=teacher)
        assert folders.record(later).name == "later"


def test_a_recipe_that_plans_no_runs_says_what_it_is(folders, recipe):
    none = dataclasses.replace(recipe, seeds=0, about="search first")
    with pytest.raises(UserError, match=r"simple_cnn plans no runs to record \(search first\)"):
        folders.record(none)


def test_more_classes_than_a_byte_tells_apart_keep_their_labels(tmp_path):
    labels = np.arange(300)
    logits = 5 * np.eye(300, dtype=np.float32)
    recipe = recipes.get("simple_cnn")
    recording.write_run(
        tmp_path / "run", recipe=recipe, seed=0, provenance={}, history=[{"epoch": 1}],
        logits={"val": Predictions(logits, labels)}, extra={}, kind="demo",
    )  # fmt: skip
    run = runs.read_run(tmp_path / "run")
    assert accuracy(run.logits("val")) == run.final["val_accuracy"] == 1.0
