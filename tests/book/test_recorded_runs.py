"""Every recorded run is proven again: its numbers from its logits, its labels from the data."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from cifar_lessons import recipes, runs
from cifar_lessons.config import Recipe, in_fold
from cifar_lessons.evaluation.metrics import accuracy, negative_log_likelihood
from cifar_lessons.fields import differences, from_dict

ROOT = Path(__file__).parent.parent.parent / "book" / "runs"
EVERY = sorted(path.parent for path in ROOT.glob("*/*/run.json"))
# A search scores no test images, so it has no logits: tests/book/test_recorded_searches.py.
FOLDERS = [f for f in EVERY if json.loads((f / "run.json").read_text())["kind"] != "search"]
WEIGHTS_IN_GIT = 80e6  # bytes, all recorded weights together

each_run = pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f"{f.parent.name}-{f.name}")


@each_run
def test_its_numbers_are_those_of_its_logits(folder):
    run = runs.read_run(folder)
    expected = {}
    held_out = run.fold is not None or run.recipe["data"]["val_size"]
    for split in ("test", "val") if held_out else ("test",):
        stored = run.logits(split)
        expected[f"{split}_accuracy"] = accuracy(stored)
        expected[f"{split}_loss"] = negative_log_likelihood(stored)
    assert run.final == pytest.approx(expected, rel=1e-12)
    right = run.logits().logits.argmax(axis=1) == run.logits().labels
    assert run.final["test_accuracy"] == right.sum() / 10_000


@each_run
def test_its_labels_are_the_official_ones(folder, real_data):
    from cifar_lessons.data.cifar import read_official, stratified_split
    from cifar_lessons.data.folds import fold_split
    from cifar_lessons.data.wrong_labels import plant

    run = runs.read_run(folder)
    _, train, _, test, _, digest = read_official(run.recipe["data"]["dataset"], real_data)
    np.testing.assert_array_equal(run.logits("test").labels, test)
    assert run.provenance["data_digest"] == digest
    data = from_dict(Recipe, run.recipe).data
    if data.wrong_labels:
        train = plant(train, share=data.wrong_labels, classes=10, seed=data.split_seed)
    if data.folds:
        _, val = fold_split(train, folds=data.folds, fold=data.fold, seed=data.split_seed)
        np.testing.assert_array_equal(run.index(), val)
    elif data.val_size:
        _, val = stratified_split(train, val_size=data.val_size, seed=data.split_seed)
    else:
        return
    np.testing.assert_array_equal(run.logits("val").labels, train[val])


@each_run
def test_its_folder_is_whole(folder):
    content = json.loads((folder / "run.json").read_text())
    recipe = from_dict(Recipe, content["recipe"])
    assert content["schema"] == runs.SCHEMA
    assert content["kind"] == ("pretrain" if recipe.pretrains else "train")
    assert folder == ROOT / recipe.name / runs.run_key(recipe, content["seed"])
    expected = {"run.json", "history.csv", "test_logits.npz"}
    expected |= {"val_logits.npz"} if recipe.data.val_size or recipe.data.folds else set()
    expected |= {"weights.safetensors"} if "weights" in content else set()
    assert {path.name for path in folder.iterdir()} == expected
    with open(folder / "history.csv", newline="") as file:
        epochs = [int(row["epoch"]) for row in csv.DictReader(file)]
    assert epochs == list(range(1, recipe.epochs + 1))
    with np.load(folder / "test_logits.npz", allow_pickle=False) as stored:
        assert stored["logits"].shape == (10_000, 100 if recipe.data.dataset == "cifar100" else 10)
        assert stored["logits"].dtype == np.float16


@each_run
def test_its_provenance_is_clean(folder):
    run = runs.read_run(folder)
    facts = run.provenance
    assert facts["git_dirty"] is False
    assert facts["git_commits"]
    assert all(len(commit) == 40 for commit in facts["git_commits"])
    assert facts["data_digest"] != "synthetic"
    for name in ("python", "packages", "device", "threads", "precision", "started_at", "command"):
        assert facts[name], name
    assert facts["train_seconds"] > 0


@each_run
def test_its_recipe_is_registered_and_unchanged(folder):
    """A stale run has to be trained again, or its recipe put back."""
    run = runs.read_run(folder)
    recipe = recipes.get(run.name)
    data = run.recipe["data"]
    if run.fold is not None:
        assert data["split_seed"] == run.seed
        recipe = in_fold(recipe, run.fold, folds=data["folds"], seed=run.seed)
    assert differences(run.recipe, recipe) == []
    assert 0 <= run.seed < recipe.seeds


@each_run
def test_it_lies_in_its_band_or_is_a_surprise_with_a_reason(folder):
    run = runs.read_run(folder)
    band = recipes.get(run.name).expects
    inside = band is None or band.low <= run.final["test_accuracy"] <= band.high
    assert inside or run.surprise


@each_run
def test_its_weights_are_the_recorded_ones(folder):
    path, run = folder / "weights.safetensors", runs.read_run(folder)
    recipe = recipes.get(run.name)
    assert path.exists() is (recipe.keep_weights and run.key == "seed0")
    if path.exists():
        raw = path.read_bytes()
        assert run.weights == {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}


def test_all_weights_together_fit_into_git():
    assert sum(p.stat().st_size for p in ROOT.rglob("*.safetensors")) <= WEIGHTS_IN_GIT


def test_no_seed_is_left_out_in_the_middle():
    """Seeds are 0 to n - 1, and every finished one is recorded: a gap looks like a choice."""
    for folder in sorted({f.parent for f in FOLDERS}):
        keys = {f.name for f in FOLDERS if f.parent == folder}
        folds = sorted(key for key in keys if "-fold" in key)
        seeds = sorted(int(key.removeprefix("seed")) for key in keys - set(folds))
        assert seeds == list(range(len(seeds))), folder.name
        for seed in {key.partition("-fold")[0] for key in folds}:  # all folds, or none
            found = [runs.read_run(folder / key) for key in folds if key.startswith(f"{seed}-")]
            count = found[0].recipe["data"]["folds"]
            assert sorted(run.fold for run in found) == list(range(count)), folder.name
