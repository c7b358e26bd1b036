"""Mirrors cifar_lessons/data/wrong_labels.py."""

import numpy as np
import pytest

from cifar_lessons.data.wrong_labels import plant

LABELS = np.arange(20_000) % 10


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_exactly_that_share_is_wrong(share):
    before = LABELS.copy()
    planted = plant(LABELS, share=share, classes=10, seed=0)
    assert (planted != LABELS).sum() == share * len(LABELS)
    assert set(planted) <= set(range(10))
    assert planted.dtype == LABELS.dtype
    np.testing.assert_array_equal(LABELS, before)


def test_every_other_class_is_as_likely():
    planted = plant(LABELS, share=0.9, classes=10, seed=0)
    joint = np.zeros((10, 10))
    np.add.at(joint, (LABELS, planted), 1)
    off = joint[~np.eye(10, dtype=bool)]
    assert off.min() > 150  # 200 expected
    assert off.max() < 250


def test_which_ones_depends_on_the_seed_alone():
    first, again, other = (
        plant(LABELS, share=0.05, classes=10, seed=s).tolist() for s in (0, 0, 1)
    )
    assert first == again != other
