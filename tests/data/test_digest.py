"""Mirrors cifar_lessons/data/digest.py."""

import pickle
import re

import numpy as np
import pytest

from cifar_lessons.data.cifar import data_root
from cifar_lessons.data.digest import CONTENT_DIGESTS, content_digest, image_digests
from cifar_lessons.data.official import faults, official


@pytest.fixture
def split() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (12, 3, 32, 32), np.uint8), np.arange(12) % 10


def digest(images: np.ndarray, labels: np.ndarray) -> str:
    return content_digest(image_digests(images, labels))


def test_matches_the_definition_by_hand(split, by_hand):
    assert digest(*split) == by_hand(*split)


def test_many_images_are_hashed_in_parts(split, by_hand):
    images, labels = np.resize(split[0], (1_005, 3, 32, 32)), np.arange(1_005) % 10
    hashes = image_digests(images, labels)
    assert len(hashes) == 1_005
    assert hashes[1_000:] == image_digests(images[1_000:], labels[1_000:])


def test_order_changes_nothing(split):
    images, labels = split
    order = np.random.default_rng(1).permutation(len(labels))
    assert digest(images[order], labels[order]) == digest(images, labels)


@pytest.mark.parametrize("what", ["pixel", "label", "missing", "swapped labels"])
def test_any_other_content_changes_it(split, what):
    images, labels = (x.copy() for x in split)
    if what == "pixel":
        images[3, 1, 5, 7] ^= 1
    elif what == "label":
        labels[3] = 7
    elif what == "missing":
        images, labels = images[1:], labels[1:]
    else:
        labels[[0, 1]] = labels[[1, 0]]
    assert digest(images, labels) != digest(*split)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, y: (i.transpose(0, 2, 3, 1), y), "got uint8 (12, 32, 32, 3); transpose"),
        (
            lambda i, y: (i.astype(np.float32), y),
            "must be uint8 of shape (N, 3, 32, 32), got float32",
        ),
        (lambda i, y: (i, y[1:]), "labels must have shape (12,), one an image, got (11,)"),
        (lambda i, y: (i, y - 1), "must fit one byte, got -1 to 8"),
        (lambda i, y: (i, y + 250), "must fit one byte, got 250 to 259"),
    ],
)
def test_errors_name_the_value_and_the_mend(split, change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        image_digests(*change(*split))


def test_the_real_cifar10_has_the_digests_written_here():
    folder = data_root() / "cifar-10-batches-py"
    if not (folder / "test_batch").exists():
        pytest.skip(f"no CIFAR-10 in {folder}: `make data` fetches it")
    assert faults(official("cifar10"), folder.parent) == []  # so it is safe to unpickle
    for split, names in {
        "train": [f"data_batch_{i}" for i in range(1, 6)],
        "test": ["test_batch"],
    }.items():
        parts = [pickle.loads((folder / n).read_bytes(), encoding="latin1") for n in names]
        images = np.concatenate([p["data"] for p in parts]).reshape(-1, 3, 32, 32)
        labels = np.concatenate([p["labels"] for p in parts])
        assert digest(images, labels) == CONTENT_DIGESTS["cifar10"][split], split
