"""Mirrors cifar_lessons/runs.py: what is recorded is proven, and what is read is fresh."""

import dataclasses
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cifar_lessons import recipes, runs
from cifar_lessons.config import Recipe, in_fold, override
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import Predictions, accuracy, negative_log_likelihood
from cifar_lessons.runs import MissingRun, StaleRun

PROVENANCE = {
    "git_commit": "abc",
    "git_commits": ["abc"],
    "git_dirty": False,
    "data_digest": "a digest",
    "train_seconds": 90.0,
}
HISTORY = [
    {"epoch": 1, "train_loss": 1.23456789, "val_loss": 1.5},
    {"epoch": 2, "train_loss": 1.0, "val_loss": 1.25},
]


def predictions(right: float, *, n: int = 100) -> Predictions:
    """A share `right` of correct answers, in numbers that float16 holds exactly."""
    labels = np.arange(n) % 10
    shown = np.where(np.arange(n) < right * n, labels, (labels + 1) % 10)
    return Predictions(np.eye(10, dtype=np.float32)[shown] * 2.5, labels)


@dataclasses.dataclass
class Folders:
    """Where `train` wrote and where the records lie."""

    outputs: Path
    root: Path

    def write(
        self,
        recipe: Recipe,
        *,
        seed: int = 0,
        right: float = 0.74,
        recorded: bool = False,
        facts: dict[str, Any] | None = None,
        **provenance: Any,
    ) -> Path:
        """Write a finished run of a recipe, clean unless told otherwise."""
        folder = (self.root if recorded else self.outputs) / recipe.name / f"seed{seed}"
        runs.write_run(
            folder,
            recipe=recipe,
            seed=seed,
            provenance={**PROVENANCE, **provenance},
            history=HISTORY,
            logits={"test": predictions(right), "val": predictions(0.5)},
            extra={"parameters": 12, "official_order": True, **(facts or {})},
        )
        weights = {
            "layer.weight": np.linspace(-3, 3, 7, dtype=np.float32),
            "layer.steps": np.array(7, dtype=np.int64),
        }
        if not recorded:
            save_file(weights, folder / "weights.safetensors")
        return folder

    def record(self, recipe: Recipe, *, seed: int = 0, **kwargs: Any) -> runs.Run:
        return runs.record(recipe, seed=seed, outputs=self.outputs, root=self.root, **kwargs)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "outputs", tmp_path / "runs")


@pytest.fixture
def recipe() -> Recipe:
    return recipes.simple_cnn()  # band 0.71 to 0.76, seeds 0 to 4, keeps no weights


# --- writing and reading ----------------------------------------------------------------------


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


def test_logits_are_stored_as_halves_and_labels_as_bytes(folders, recipe):
    with np.load(folders.write(recipe) / "test_logits.npz") as stored:
        assert {name: stored[name].dtype for name in stored} == {
            "logits": np.float16,
            "labels": np.uint8,
        }


def test_run_json_comes_last(folders, recipe, monkeypatch):
    """So that a folder which holds one is whole."""
    written = []
    monkeypatch.setattr(runs, "write_atomically", lambda path, *_, **__: written.append(path.name))
    folders.outputs.joinpath("simple_cnn/seed0").mkdir(parents=True)
    folders.write(recipe)
    assert written == ["history.csv", "test_logits.npz", "val_logits.npz", "run.json"]


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


def test_a_full_disk_is_told(folders, recipe):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full: a device that is full")
    folder = folders.outputs / "simple_cnn" / "seed0"
    folder.mkdir(parents=True)
    (folder / "test_logits.npz.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"test_logits.npz: No space left on device; free some"):
        folders.write(recipe)
    assert not (folder / "run.json").exists()


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


@pytest.fixture
def crossed() -> Recipe:
    return recipes.folds_base()  # band 0.72 to 0.86, one seed of five folds


def write_folds(folders, recipe, folds=range(5), *, seed=0, recorded=False, **kwargs):
    for fold in folds:
        part = in_fold(recipe, fold, folds=5, seed=seed)
        root = folders.root if recorded else folders.outputs
        index = np.arange(fold, 100, 5)
        runs.write_run(
            root / recipe.name / runs.run_key(part, seed),
            recipe=part,
            seed=seed,
            provenance={**PROVENANCE, **kwargs},
            history=HISTORY,
            logits={"test": predictions(0.78), "val": predictions(0.5, n=20)},
            index={"val": index},
            extra={"parameters": 12, "official_order": True},
        )


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


def test_all_folds_are_recorded_together(folders, crossed):
    write_folds(folders, crossed)
    where = {"outputs": folders.outputs, "root": folders.root}
    found = runs.record_folds(crossed, folds=5, seed=0, **where)
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
        runs.record_folds(crossed, folds=5, seed=0, **where)
    with pytest.raises(StaleRun, match=r"data.folds: recorded 5, now 4"):
        runs.record_folds(crossed, folds=4, seed=0, **where)
    assert not folders.root.exists()


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


# --- finding a run ----------------------------------------------------------------------------


def test_a_run_is_found_by_folder_by_name_and_by_seed(folders, recipe):
    folders.write(recipe, seed=0, recorded=True)
    folders.write(recipe, seed=1, recorded=True)
    mine = folders.write(recipe, seed=2)
    for text, seed in (("simple_cnn", 0), ("simple_cnn/seed1", 1), (str(mine), 2)):
        assert runs.find_run(text, root=folders.root).seed == seed
    with pytest.raises(MissingRun, match=r"no run 'simple_cn', .*: did you mean 'simple_cnn'\?"):
        runs.find_run("simple_cn", root=folders.root)


# --- provenance -------------------------------------------------------------------------------


def provenance() -> dict[str, Any]:
    return runs.provenance(
        command="typed", device="a CPU", precision="fp32", threads=1, cores=2, data_digest="d"
    )


def git_says(monkeypatch, **answers: str | None) -> None:
    """Answer git's commands by their first word."""
    monkeypatch.setattr(runs, "_git", lambda verb, *_: answers[verb.replace("-", "_")])


@pytest.mark.parametrize(
    ("answers", "commit", "dirty"),
    [
        ({"ls_files": "__init__.py", "status": "", "rev_parse": "abc"}, "abc", False),
        ({"ls_files": "__init__.py", "status": " M fit.py", "rev_parse": "abc"}, "abc", True),
        # No repository, or no git.
        ({"ls_files": None, "status": None, "rev_parse": None}, "", True),
        # Installed below a repository of something else, such as in its .venv.
        ({"ls_files": "", "status": "", "rev_parse": "another project's"}, "", True),
    ],
)
def test_the_commit_is_that_of_the_package(monkeypatch, answers, commit, dirty):
    git_says(monkeypatch, **answers)
    found = provenance()
    assert (found["git_commit"], found["git_dirty"]) == (commit, dirty)


def test_provenance_is_taken_as_json_and_names_what_moves_a_result():
    found = json.loads(json.dumps(provenance()))
    assert {"python", "platform", "packages", "started_at", "load_average"} <= set(found)
    assert set(found["packages"]) == {"cifar-lessons", "numpy", "torch", "torchvision"}
    assert found["started_at"].endswith("+00:00")
    assert (found["command"], found["device"], found["threads"]) == ("typed", "a CPU", 1)


def test_git_that_hangs_or_is_not_there_is_no_error(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("git")

    def hanging(*_, **__):
        raise subprocess.TimeoutExpired("git", 20)

    for failing in (missing, hanging):
        monkeypatch.setattr(subprocess, "run", failing)
        assert provenance()["git_dirty"] is True


# --- studies ----------------------------------------------------------------------------------


def test_a_study_comes_back(folders):
    runs.record_study("counts", {"images": 3}, provenance=PROVENANCE, root=folders.root)
    found = runs.load_study("counts", root=folders.root)
    assert found["values"] == {"images": 3}
    assert found["provenance"] == PROVENANCE
    assert (found["schema"], found["kind"]) == (1, "study")


def test_a_study_measured_with_uncommitted_code_is_refused(folders):
    dirty = {**PROVENANCE, "git_dirty": True}
    with pytest.raises(UserError, match=r"'counts' was measured with uncommitted code; commit it"):
        runs.record_study("counts", {}, provenance=dirty, root=folders.root)
    assert not folders.root.exists()


def test_a_study_that_is_missing_is_none_to_who_only_looks(folders):
    assert runs.find_study("counts", root=folders.root) is None


def test_a_study_that_is_missing_or_damaged_says_what_to_type(folders):
    with pytest.raises(MissingRun, match=r"study 'counts' is not recorded yet: run `cifar-lessons"):
        runs.load_study("counts", root=folders.root)
    path = runs.record_study("counts", {}, provenance=PROVENANCE, root=folders.root)
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
    assert runs.study_command(study) == f"cifar-lessons {command}"
    with pytest.raises(MissingRun, match=f"run `cifar-lessons {command}`"):
        runs.load_study(study, root=folders.root)


def test_the_commands_of_benchmarks_exist():
    from cifar_lessons.bench_commands import BENCHES
    from cifar_lessons.cli import COMMANDS

    for command in runs.MEASURED_BY.values():
        first, second, *_ = command.split()
        assert first in COMMANDS
        assert first != "bench" or second in BENCHES
