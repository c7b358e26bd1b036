"""Mirrors cifar_lessons/data/folds.py: every image is held out once, and classes are shared out."""

import numpy as np
import pytest

from cifar_lessons.data.folds import cut, fold_split
from cifar_lessons.errors import UserError

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 53))


@pytest.mark.parametrize("stratified", [True, False])
@pytest.mark.parametrize("folds", [2, 5, 50])
def test_every_image_is_held_out_once(folds, stratified):
    parts = cut(LABELS, folds=folds, seed=0, stratified=stratified)
    assert len(parts) == folds
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(LABELS)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 10
    for held_out in parts:
        assert held_out.tolist() == sorted(held_out)


def counts(stratified: bool) -> np.ndarray:
    parts = cut(LABELS, folds=5, seed=0, stratified=stratified)
    return np.stack([np.bincount(LABELS[held_out], minlength=10) for held_out in parts])


def test_stratified_folds_share_out_every_class_to_one_image():
    assert np.ptp(counts(True), axis=0).max() <= 1
    assert np.ptp(counts(False), axis=0).max() >= 5


def test_a_cut_depends_on_its_seed_and_its_number_of_folds_alone():
    def first(folds: int, seed: int) -> list[int]:
        return cut(LABELS, folds=folds, seed=seed)[0].tolist()

    assert first(5, 0) == first(5, 0)
    assert first(5, 0) != first(5, 1)
    assert set(first(10, 0)) - set(first(5, 0))  # not half of the other's: a draw of its own


def test_a_fold_trains_on_the_rest():
    for fold in range(5):
        train, held_out = fold_split(LABELS, folds=5, fold=fold, seed=3)
        assert held_out.tolist() == cut(LABELS, folds=5, seed=3)[fold].tolist()
        assert sorted([*train, *held_out]) == list(range(len(LABELS)))
        assert train.tolist() == sorted(train)


@pytest.mark.parametrize(
    ("labels", "folds", "stratified", "said"),
    [
        (LABELS, 1, True, "folds must be >= 2, got 1: one part would be left .* try 5"),
        (LABELS, 0, True, "folds must be >= 2, got 0"),
        (LABELS, 54, True, "54 images of the smallest class, and there are 53; try 5 folds$"),
        (np.array([0, 0, 0, 1, 1, 1, 1]), 4, True, "and there are 3; try 3 folds$"),
        (np.array([0, 1, 1]), 2, True, "and there are 1; try 1 folds, or more images"),
        (np.array([0, 1, 1]), 4, False, "4 folds of 3 images need 4 images in all"),
        (np.array([], int), 2, True, "and there are 0"),
    ],
)
def test_a_cut_that_is_not_possible_is_told(labels, folds, stratified, said):
    with pytest.raises(UserError, match=said) as error:
        cut(labels, folds=folds, seed=0, stratified=stratified)
    assert "\n" not in str(error.value)


def test_classes_may_have_gaps():
    parts = cut(np.array([0, 7] * 6), folds=3, seed=0)
    assert [len(p) for p in parts] == [4, 4, 4]
