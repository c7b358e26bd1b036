"""Mirrors cifar_lessons/finetuning/folder.py: every picture is read, checked, and on one side."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from cifar_lessons.data.picture import read_picture
from cifar_lessons.errors import UserError
from cifar_lessons.finetuning.folder import read_folder

from .conftest import KINDS


def test_pictures_labels_and_classes_belong_together(drawn):
    found = read_folder(drawn, val_share=0.25)
    assert found.classes == KINDS
    files = [path for kind in KINDS for path in sorted((drawn / kind).iterdir())]
    for split in (found.train, found.val):
        for image, label, place in zip(split.images, split.labels, split.index, strict=True):
            path = files[int(place)]
            assert path.parent.name == found.classes[int(label)]
            assert torch.equal(image, read_picture(path)[0])


def test_each_class_gives_its_share_and_each_picture_stands_once(drawn):
    found = read_folder(drawn, val_share=0.25)
    assert torch.bincount(found.val.labels).tolist() == [2, 2, 2]
    assert torch.bincount(found.train.labels).tolist() == [6, 6, 6]
    places = torch.cat([found.train.index, found.val.index])
    assert sorted(places.tolist()) == list(range(24))
    assert found.notes == ()


def test_the_seed_decides_the_split_and_the_digest_knows_it(drawn, tmp_path):
    first, again = read_folder(drawn), read_folder(drawn)
    other = read_folder(drawn, seed=1)
    assert torch.equal(first.val.index, again.val.index)
    assert not torch.equal(first.val.index, other.val.index)
    assert first.digest == again.digest != other.digest
    shutil.copytree(drawn, tmp_path / "elsewhere")
    assert read_folder(tmp_path / "elsewhere").digest == first.digest


def test_any_size_and_mode_becomes_32_by_32(mine):
    Image.fromarray(np.zeros((300, 90), np.uint8)).save(mine / "house" / "grey.jpeg")
    Image.new("RGBA", (9, 9), (9, 9, 9, 0)).save(mine / "house" / "clear.png")
    found = read_folder(mine)
    assert len(found.train) + len(found.val) == 12
    assert found.train.images.shape[1:] == (3, 32, 32)
    assert found.train.images.dtype is torch.uint8


def test_a_split_that_is_there_is_kept(mine, tmp_path):
    whole = tmp_path / "whole"
    shutil.copytree(mine, whole / "train")
    for kind in ("chart", "house"):
        (whole / "val" / kind).mkdir(parents=True)
        (whole / "train" / kind / "004.png").rename(whole / "val" / kind / "004.png")
    found = read_folder(whole)
    assert (len(found.train), len(found.val)) == (8, 2)
    (whole / "val" / "house" / "004.png").unlink()
    with pytest.raises(UserError, match=r"class 'house' in .*val has 0 pictures: 1 are the fewest"):
        read_folder(whole)


BROKEN = {
    "empty.png": (b"", "empty.png is empty: give a PNG or JPEG"),
    "text.jpg": (b"no picture at all", "text.jpg is no PNG or JPEG: convert it first"),
    "gif.png": (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "gif.png is no PNG or JPEG"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_picture_is_named_or_left_out_aloud(mine, name):
    content, said = BROKEN[name]
    (mine / "house" / name).write_bytes(content)
    with pytest.raises(UserError, match="--skip-broken leaves such files out") as caught:
        read_folder(mine)
    assert said in str(caught.value)
    found = read_folder(mine, skip_broken=True)
    assert len(found.train) + len(found.val) == 10
    assert [said in note for note in found.notes] == [True]


def test_a_cut_picture_and_a_huge_one_are_named(mine):
    path = mine / "house" / "000.png"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"000.png cannot be read as an image .* complete"):
        read_folder(mine)
    Image.new("1", (10_001, 1)).save(path)
    with pytest.raises(UserError, match=r"000.png is 10001 x 1 pixels, and 10000 a side is the"):
        read_folder(mine)


def test_too_few_pictures_and_wrong_shares(mine, tmp_path):
    (mine / "house" / "000.png").unlink()
    with pytest.raises(UserError, match=r"class 'house' in .* has 4 pictures: 5 are the fewest"):
        read_folder(mine)
    for share in (0.0, 0.6, float("nan")):
        with pytest.raises(UserError, match=r"--val-share must be in \(0, 0.5\], got"):
            read_folder(mine, val_share=share)
    with pytest.raises(UserError, match=r"no folder .*nowhere: give one that holds"):
        read_folder(tmp_path / "nowhere")


def test_pictures_that_stand_twice_are_told(mine):
    for number in range(1, 5):  # all the same: held out and learned from
        shutil.copy(mine / "house" / "000.png", mine / "house" / f"00{number}.png")
    shutil.copy(mine / "house" / "000.png", mine / "chart" / "twin.png")
    first, second = read_folder(mine).notes
    assert "validation pictures have a twin" in first
    assert "stand under two classes" in second
