"""Mirrors cifar_lessons/folds/out_of_fold.py: one prediction an image, in the official order."""

import shutil

import numpy as np
import pytest

from cifar_lessons import recipes, runs
from cifar_lessons.data.wrong_labels import plant
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import accuracy
from cifar_lessons.folds.out_of_fold import assemble, planted, recorded, together_on_test

TRUE = np.arange(200) % 10


@pytest.fixture
def folders(write_folds, tmp_path):
    return write_folds(tmp_path, recipes.get("folds_base"))


def test_every_image_has_the_logits_of_the_fold_that_held_it_out(folders):
    parts = [runs.read_run(folder) for folder in folders]
    found = assemble(parts[::-1])  # in any order
    np.testing.assert_array_equal(found.predictions.labels, TRUE)
    for fold, run in enumerate(parts):
        np.testing.assert_array_equal(np.flatnonzero(found.fold == fold), run.index())
        np.testing.assert_array_equal(
            found.predictions.logits[run.index()], run.logits("val").logits
        )
    mean = np.mean([accuracy(run.logits("val")) for run in parts])
    assert accuracy(found.predictions) == pytest.approx(mean)
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(200))
    assert [run.fold for run in found.runs] == [0, 1, 2, 3, 4]


def test_folds_of_two_partitions_are_not_put_together(write_folds, tmp_path, folders):
    other = write_folds(tmp_path / "b", recipes.get("folds_base"), seed=1)
    mixed = [runs.read_run(f) for f in (*folders[:4], other[4])]
    with pytest.raises(UserError, match="are not the folds of one partition; record them again"):
        assemble(mixed)
    with pytest.raises(UserError, match="not the folds of one partition"):
        assemble([runs.read_run(f) for f in folders[:4]])


def test_recorded_folds_are_found_and_a_missing_one_leaves_nothing(tmp_path, folders):
    found = recorded("folds_base", root=tmp_path)
    assert found is not None
    assert len(found.predictions) == 200
    assert recorded("folds_wrong_labels", root=tmp_path) is None
    shutil.rmtree(folders[2])
    assert recorded("folds_base", root=tmp_path) is None


def test_planted_errors_are_where_two_recordings_differ(write_folds, tmp_path, folders):
    given = plant(TRUE, share=0.1, classes=10, seed=0)
    noisy = write_folds(tmp_path, recipes.get("folds_wrong_labels"), labels=given)
    one, two = (assemble([runs.read_run(f) for f in both]) for both in (folders, noisy))
    np.testing.assert_array_equal(planted(one, two), given != TRUE)


def test_networks_together_are_better_than_one(folders):
    single, together = together_on_test([runs.read_run(folder) for folder in folders])
    assert single == pytest.approx(
        np.mean([runs.read_run(f).final["test_accuracy"] for f in folders])
    )
    assert together > single  # their mistakes are independent here


def test_a_run_that_is_no_fold_has_no_index(recorded_plain):
    with pytest.raises(UserError, match="cannot read"):
        recorded_plain.index()


@pytest.fixture
def recorded_plain(recorded):
    recorded("simple_cnn", 0.75)
    run = runs.load_run(recipes.get("simple_cnn"))
    assert run.fold is None
    return run
