"""Mirrors cifar_lessons/data/label_share.py: few labels, evenly, and the same for the same seed."""

import numpy as np
import pytest
import torch

from cifar_lessons.data import cifar
from cifar_lessons.data.label_share import keep_share
from cifar_lessons.errors import UserError


@pytest.fixture(scope="module")
def split() -> cifar.Split:
    return cifar.synthetic(num_train=1_500, num_test=20, val_size=500).train


def kept(split: cifar.Split, share: float, seed: int = 0) -> cifar.Split:
    return keep_share(split, share=share, classes=10, seed=seed)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1, 0.5])
def test_every_class_keeps_its_share(split, share):
    found = kept(split, share)
    assert np.bincount(found.labels, minlength=10).tolist() == [round(100 * share)] * 10


def test_images_labels_and_numbers_stay_together_and_in_order(split):
    found = kept(split, 0.1)
    assert (found.index.diff() > 0).all()
    where = {int(i): k for k, i in enumerate(split.index)}
    for image, label, index in zip(found.images, found.labels, found.index, strict=True):
        assert torch.equal(image, split.images[where[int(index)]])
        assert label == split.labels[where[int(index)]]


def test_a_small_share_is_part_of_a_large_one_of_the_same_seed(split):
    small, large = (set(kept(split, s).index.tolist()) for s in (0.02, 0.2))
    assert small < large


def test_seeds_draw_apart_and_the_same_seed_alike(split):
    first, again, other = (set(kept(split, 0.1, seed=s).index.tolist()) for s in (0, 0, 1))
    assert first == again
    assert len(first & other) < 50


def test_all_labels_are_the_split_itself(split):
    assert kept(split, 1.0) is split


def test_too_small_a_share_says_the_smallest_that_works(split):
    with pytest.raises(UserError) as error:
        kept(split, 0.001)
    assert str(error.value) == (
        "data.label_share 0.001 leaves no image of a class with 100; try data.label_share=0.01"
    )
    kept(split, 0.01)


def test_a_class_without_images_is_named(split):
    without = split[split.labels != 7]
    with pytest.raises(UserError, match="class 7 has no image among 900"):
        kept(without, 0.1)
