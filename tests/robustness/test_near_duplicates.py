"""Mirrors cifar_lessons/robustness/near_duplicates.py, with copies that were put there."""

import json

import numpy as np
import pytest
from PIL import Image

from cifar_lessons.data import cifar
from cifar_lessons.robustness import near_duplicates as near


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    """Sixty smooth pictures of 40 x 40 with some grain: no two alike."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (60, 12, 12, 3), dtype=np.uint8)
    smooth = [Image.fromarray(c).resize((40, 40), Image.Resampling.BICUBIC) for c in coarse]
    grain = rng.integers(-10, 11, (60, 40, 40, 3))
    return (np.stack(smooth) + grain).clip(0, 255).astype(np.uint8).transpose(0, 3, 1, 2)


def cut(pictures: np.ndarray, down: int = 4, right: int = 4) -> np.ndarray:
    return np.ascontiguousarray(pictures[:, :, down : down + 32, right : right + 32])


def recoloured(pictures: np.ndarray) -> np.ndarray:
    gain = np.array([0.7, 1.0, 0.8])[:, None, None]
    return (gain * pictures + 20).clip(0, 255).astype(np.uint8)


CHANGES = {
    "as it is": lambda p: cut(p),
    "shifted": lambda p: cut(p, 6, 2),
    "mirrored": lambda p: cut(p)[..., ::-1],
    "mirrored and shifted": lambda p: cut(p, 1, 5)[..., ::-1],
    "recoloured": lambda p: recoloured(cut(p)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_shares_its_detail_and_another_picture_does_not(photographs, change):
    here, there = near.detail(cut(photographs)), near.detail(CHANGES[change](photographs))
    assert near.shared_detail(here, there).min() > 0.9
    assert near.shared_detail(here, np.roll(there, 1, axis=0)).max() < near.LISTED


def test_a_copy_that_is_shifted_too_far_escapes(photographs):
    here, there = near.detail(cut(photographs, 0, 0)), near.detail(cut(photographs, 0, 8))
    assert near.shared_detail(here, there).max() < near.NEAR


def test_shared_detail_by_hand_at_one_shift():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 40, (2, 3, 32, 32, 3)).astype(np.float32)
    cosines = []
    for other in (b, b[:, :, ::-1]):
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                x = a[:, max(0, down) : 32 + min(0, down), max(0, right) : 32 + min(0, right)]
                y = other[:, max(0, -down) : 32 - max(0, down), max(0, -right) : 32 - max(0, right)]
                x, y = (v.reshape(3, -1).astype(float) for v in (x, y))
                size = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
                cosines.append((x * y).sum(1) / size)
    found = near.shared_detail(a, b, reach=1)
    np.testing.assert_allclose(found, np.max(cosines, axis=0), rtol=1e-4)


def test_flat_images_share_nothing():
    flat = near.detail(np.full((2, 3, 32, 32), 99, np.uint8))
    assert near.shared_detail(flat, flat).tolist() == [0.0, 0.0]


def test_proposals_are_the_nearest_by_angle_from_the_mean():
    rng = np.random.default_rng(0)
    train, test = rng.random((700, 6)).astype(np.float32), rng.random((510, 6)).astype(np.float32)
    found = near.proposals(train, test, count=4)
    centred = [x - train.mean(0) for x in (test, train)]
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in centred)
    expected = np.argsort(-(a @ b.T), axis=1)[:, :4]
    np.testing.assert_array_equal(found, expected)


def test_the_study_finds_the_copies_that_were_put_there(photographs, keep, monkeypatch, tmp_path):
    keep("resnet18_w16")
    train, test = cut(photographs[:40]), cut(photographs[40:]).copy()
    for at, (change, source) in enumerate(zip(CHANGES, (3, 11, 17, 25, 38), strict=True)):
        test[2 * at] = CHANGES[change](photographs[source : source + 1])[0]
    labels = np.arange(40) % 10
    test_labels = np.arange(20) % 10
    test_labels[0] = 9  # its copy in train carries a 3
    arrays = (train, labels, test, test_labels, tuple("abcdefghij"), "md5")
    monkeypatch.setattr(near, "read_official", lambda name, root: arrays)
    monkeypatch.setattr(near, "CANDIDATES", 40)  # all: an untrained network proposes nothing good
    found = near.near_duplicates(tmp_path)
    pairs = dict(zip(found["pairs"]["test"], found["pairs"]["train"], strict=True))
    assert pairs == {0: 3, 2: 11, 4: 17, 6: 25, 8: 38}
    assert found["near"] == 5
    assert found["near_of_another_class"] == sum(
        labels[train] != test_labels[test] for test, train in pairs.items()
    )
    assert found["pairs"]["detail"] == sorted(found["pairs"]["detail"], reverse=True)
    assert found["test_images"] == 20
    assert json.loads(json.dumps(found)) == found


def test_a_sheet_shows_the_recorded_pairs_wherever_the_split_has_put_them(tiny_official):
    data = cifar.load("cifar10", root=tiny_official.root, val_size=20)
    study = {
        "pairs": {"test": [5, 1, 7], "train": [0, 119, 33], "detail": [1.0, 0.734, 0.5]},
    }
    images, titles = near.sheet(study, data, count=3)
    train, test = tiny_official.train[0], tiny_official.test[0]
    expected = [test[5], train[0], test[1], train[119], test[7], train[33]]
    np.testing.assert_array_equal(images, np.stack(expected))
    assert titles == ["1.00", "", "0.73", "", "0.50", ""]
    few, _ = near.sheet(study, data, count=2)  # the first and the last
    np.testing.assert_array_equal(few, np.stack(expected[:2] + expected[4:]))


def test_a_sheet_needs_the_official_order():
    with pytest.raises(ValueError, match="positions in the official order"):
        near.sheet({}, cifar.synthetic(num_train=40, num_test=10, val_size=10), count=1)
