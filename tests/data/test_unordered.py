"""Mirrors cifar_lessons/data/unordered.py."""

import os
from pathlib import Path

import numpy as np
import pytest

from cifar_lessons.data import unordered as module
from cifar_lessons.data.official import SourceError
from cifar_lessons.data.unordered import read, read_unordered, write
from cifar_lessons.errors import UserError


def pairs(images: np.ndarray, labels: np.ndarray) -> list[tuple[bytes, int]]:
    return sorted((i.tobytes(), int(y)) for i, y in zip(images, labels, strict=True))


def shuffled(splits, seed: int):
    rng = np.random.default_rng(seed)
    orders = {split: rng.permutation(len(labels)) for split, (_, labels) in splits.items()}
    return {s: (i[orders[s]], y[orders[s]]) for s, (i, y) in splits.items()}


def test_every_image_comes_back_with_its_label(made_up, tmp_path):
    folder = write(made_up.archive, tmp_path, made_up.splits)
    assert sorted(os.listdir(folder)) == ["test.npz", "train.npz"]
    back = read(made_up.archive, tmp_path)
    for split, arrays in made_up.splits.items():
        assert pairs(*back[split]) == pairs(*arrays)
        assert [a.dtype for a in back[split]] == [np.uint8, np.int64]


def test_every_mirror_gives_the_same_order(made_up, tmp_path):
    for seed in (1, 2):
        write(made_up.archive, tmp_path / str(seed), shuffled(made_up.splits, seed))
    one, two = (read(made_up.archive, tmp_path / str(seed)) for seed in (1, 2))
    for split in one:
        np.testing.assert_array_equal(one[split][0], two[split][0])
        np.testing.assert_array_equal(one[split][1], two[split][1])


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("what", [0, 1])
def test_one_flipped_pixel_or_label_is_refused(made_up, tmp_path, split, what):
    splits = {s: tuple(a.copy() for a in arrays) for s, arrays in made_up.splits.items()}
    splits[split][what].flat[5] ^= 1
    digest = made_up.archive.digests[split]
    with pytest.raises(
        SourceError, match=rf"the {split} images or labels are not .* digest \w+, expected {digest}"
    ):
        write(made_up.archive, tmp_path, splits)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: p.write_bytes(b""),
        lambda p: p.write_bytes(b"no archive"),
        lambda p: p.write_bytes(p.read_bytes()[:-100]),
        lambda p: p.write_bytes(p.read_bytes().replace(b"images", b"imagez")),
        lambda p: np.savez(p, images=np.zeros(3), labels=np.zeros(3)),
        lambda p: np.savez(p, images=np.array([object()]), labels=np.zeros(3)),
        lambda p: np.save(p.open("wb"), np.zeros(3)),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed file")  # of the last line above
def test_a_damaged_file_is_never_used(made_up, tmp_path, spoil):
    spoil(write(made_up.archive, tmp_path, made_up.splits) / "train.npz")
    with pytest.raises(SourceError, match=r"train\.npz cannot be read"):
        read(made_up.archive, tmp_path)


def test_a_file_that_was_changed_is_never_used(made_up, tmp_path):
    folder = write(made_up.archive, tmp_path, made_up.splits)
    images, labels = (x.copy() for x in made_up.splits["test"])
    images[0, 0, 0, 0] ^= 1
    np.savez(folder / "test.npz", images=images, labels=labels)
    with pytest.raises(SourceError, match=r"test\.npz is damaged: content digest \w+, expected"):
        read(made_up.archive, tmp_path)


def test_a_full_disk_is_one_line_and_leaves_no_half_file(made_up, tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"the disk is full: cannot write .*cifar-10-unordered"):
        write(made_up.archive, tmp_path, made_up.splits)
    assert os.listdir(tmp_path / "cifar-10-unordered") == []


class TestReadUnordered:
    @pytest.fixture(autouse=True)
    def _made_up_is_official(self, made_up, monkeypatch):
        monkeypatch.setattr(module, "official", {"cifar10": made_up.archive}.__getitem__)

    def test_gives_what_reading_the_official_files_gives(self, made_up, tmp_path):
        write(made_up.archive, tmp_path, made_up.splits)
        *arrays, classes, digest = read_unordered("cifar10", tmp_path)
        assert [a.shape for a in arrays] == [(40, 3, 32, 32), (40,), (20, 3, 32, 32), (20,)]
        assert pairs(*arrays[:2]) == pairs(*made_up.splits["train"])
        assert classes == made_up.archive.classes
        assert len(digest) == 64

    def test_says_what_to_type_when_it_is_not_there(self, tmp_path):
        folder: Path = tmp_path / "cifar-10-unordered"
        with pytest.raises(UserError, match=rf"missing; delete {folder} and run `cifar-lessons d"):
            read_unordered("cifar10", tmp_path)
