"""The recorded cross-validations are proven again: planned, whole, and in agreement."""

import numpy as np
import pytest

from cifar_lessons import recipes, runs
from cifar_lessons.fields import differences
from cifar_lessons.folds import out_of_fold
from cifar_lessons.folds.study import FOLDS, REPEATS, from_values


@pytest.fixture(scope="module")
def study():
    try:
        return runs.load_study("folds")
    except runs.MissingRun:
        pytest.skip("no repeats are recorded yet")


@pytest.fixture(scope="module")
def folds():
    found = out_of_fold.recorded("folds_base")
    return found or pytest.skip("folds_base is not recorded yet")


def test_its_recipe_is_todays_and_its_size_was_planned(study):
    assert differences(study["values"]["recipe"], recipes.get("folds_base")) == []
    found = from_values(study["values"])
    assert found.seeds == tuple(range(REPEATS))
    assert found.held_out.shape == found.test.shape == found.seconds.shape == (REPEATS, FOLDS)
    assert (found.train_images, found.held_out_images) == (40_000, 10_000)


def test_its_provenance_is_clean(study):
    facts = study["provenance"]
    assert facts["git_dirty"] is False
    assert all(len(commit) == 40 for commit in facts["git_commits"])
    assert facts["data_digest"] != "synthetic"
    assert facts["train_seconds"] == pytest.approx(np.sum(study["values"]["seconds"]), rel=1e-3)


def test_its_accuracies_are_whole_numbers_of_images_in_their_band(study):
    found, band = from_values(study["values"]), recipes.get("folds_base").expects
    for table in (found.held_out, found.test):
        np.testing.assert_allclose(table * 10_000, np.round(table * 10_000), atol=1e-6)
        assert band is not None
        assert band.low <= table.min() <= table.max() <= band.high


def test_the_recorded_folds_are_the_first_repeat_of_the_study(study, folds):
    first = from_values(study["values"])
    assert [run.final["val_accuracy"] for run in folds.runs] == first.held_out[0].tolist()
    assert [run.final["test_accuracy"] for run in folds.runs] == first.test[0].tolist()


def test_every_training_image_is_held_out_once(folds, real_data):
    from cifar_lessons.data.cifar import read_official

    labels = read_official("cifar10", real_data)[1]
    np.testing.assert_array_equal(folds.predictions.labels, labels)
    assert np.bincount(folds.fold).tolist() == [10_000] * 5


def test_as_many_labels_are_wrong_as_the_recipe_says(folds):
    noisy = out_of_fold.recorded("folds_wrong_labels")
    if noisy is None:
        pytest.skip("folds_wrong_labels is not recorded yet")
    assert out_of_fold.planted(folds, noisy).sum() == 2_500
