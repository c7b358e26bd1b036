"""Mirrors cifar_lessons/data/cifar.py: reading, verifying and splitting; and the twin."""

import hashlib
import os
import pickle
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_lessons.data import cifar
from cifar_lessons.data.cifar import (
    data_root,
    load,
    load_or_synthetic,
    read_official,
    stratified_split,
    synthetic,
)
from cifar_lessons.errors import UserError


class Bomb:
    """Makes a folder if it is ever unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


# --- where the data lies ----------------------------------------------------------------------


def test_the_argument_beats_the_variable_beats_the_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("CIFAR_LESSONS_DATA", raising=False)
    assert data_root() == Path.home() / ".cache" / "cifar-lessons"
    monkeypatch.setenv("CIFAR_LESSONS_DATA", str(tmp_path / "variable"))
    assert data_root() == tmp_path / "variable"
    assert data_root(tmp_path / "argument") == tmp_path / "argument"
    assert data_root("~/data") == Path.home() / "data"


# --- the official files, made up --------------------------------------------------------------


def test_the_batches_are_joined_in_their_order(tiny_official):
    images, labels, test_images, test_labels, classes, digest = read_official(
        "cifar10", tiny_official.root
    )
    np.testing.assert_array_equal(images, tiny_official.train[0])
    np.testing.assert_array_equal(labels, tiny_official.train[1])
    np.testing.assert_array_equal(test_images, tiny_official.test[0])
    np.testing.assert_array_equal(test_labels, tiny_official.test[1])
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    assert classes[:2] == ("airplane", "automobile")
    md5s = [md5 for _, md5 in tiny_official.constants["train_list"]]
    md5s += [tiny_official.constants["test_list"][0][1], tiny_official.constants["meta"]["md5"]]
    assert digest == hashlib.md5("".join(md5s).encode()).hexdigest()


def test_a_split_knows_where_its_images_stand(tiny_official):
    data = load(root=tiny_official.root, val_size=20)
    assert (len(data.train), len(data.val), len(data.test)) == (100, 20, 40)
    assert not data.synthetic
    assert data.official_order
    for split in (data.train, data.val):
        where = split.index.numpy()
        np.testing.assert_array_equal(split.images.numpy(), tiny_official.train[0][where])
        np.testing.assert_array_equal(split.labels.numpy(), tiny_official.train[1][where])
        assert split.images.is_contiguous(memory_format=torch.channels_last)
    assert data.test.index.tolist() == list(range(40))
    some = data.train[torch.tensor([3, 1])]
    assert some.index.tolist() == data.train.index[[3, 1]].tolist()


def damage(folder: Path, how: str) -> tuple[str, str]:
    """Harm a copy of the files; return the file that must be named and what is said of it."""
    victim = folder / "data_batch_3"
    match how:
        case "missing folder":
            shutil.rmtree(folder)
            return "data_batch_1", "is missing (expected data_batch_1, data_batch_2, "
        case "missing file":
            victim.unlink()
            return "data_batch_3", "data_batch_3 is missing (expected data_batch_1, "
        case "missing meta":
            (folder / "batches.meta").unlink()
            return "batches.meta", "batches.meta is missing"
        case "truncated":
            victim.write_bytes(victim.read_bytes()[:-100])
        case "empty":
            victim.write_bytes(b"")
        case "one bit":
            raw = bytearray(victim.read_bytes())
            raw[5_000] ^= 1
            victim.write_bytes(raw)
        case "swapped":
            shutil.copyfile(folder / "data_batch_4", victim)
        case "folder":
            victim.unlink()
            victim.mkdir()
            return "data_batch_3", "Is a directory"
    return "data_batch_3", "is damaged or not the official file: md5 "


@pytest.mark.parametrize(
    "how",
    [
        *("missing folder", "missing file", "missing meta", "truncated", "empty", "one bit"),
        *("swapped", "folder"),
    ],
)
def test_damage_gives_one_line_with_the_file_and_the_mend(tiny_official, how):
    name, said = damage(tiny_official.folder, how)
    with pytest.raises(UserError) as error:
        load(root=tiny_official.root)
    message = str(error.value)
    assert name in message
    assert said in message
    assert str(tiny_official.folder) in message
    folder = shlex.quote(str(tiny_official.root))
    assert f"run `cifar-lessons data --dataset cifar10 --data {folder}`" in message
    assert "give the right folder with --data" in message
    assert "\n" not in message


def test_nothing_is_unpickled_before_its_md5_is_right(tiny_official, tmp_path):
    victim = tiny_official.folder / "test_batch"
    victim.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(UserError, match=r"test_batch is damaged or not the official file: md5 "):
        read_official("cifar10", tiny_official.root)
    assert not (tmp_path / "exploded").exists()
    pickle.loads(victim.read_bytes())  # guards this test: the file would have done it
    assert (tmp_path / "exploded").exists()


def test_an_unknown_data_set_is_told(tmp_path):
    for read in (load, load_or_synthetic):
        with pytest.raises(UserError, match=r"no data set 'cifar20': did you mean 'cifar1"):
            read("cifar20", root=tmp_path)


def test_a_copy_in_another_order_serves_and_says_so(tiny_official, monkeypatch):
    """As `data` counts it: only where the official files are not whole."""
    copy = (*tiny_official.train, *tiny_official.test, tuple("abcdefghij"), "another digest")
    monkeypatch.setattr(cifar.unordered, "read_unordered", lambda name, root: copy)
    (tiny_official.root / "cifar-10-unordered").mkdir()
    assert load(root=tiny_official.root, val_size=20).official_order
    (tiny_official.folder / "data_batch_3").unlink()
    data = load(root=tiny_official.root, val_size=20)
    assert not data.official_order
    assert not data.synthetic
    assert data.digest == "another digest"
    shutil.rmtree(tiny_official.folder)
    assert not load_or_synthetic(root=tiny_official.root, val_size=20).official_order


# --- the split --------------------------------------------------------------------------------


def test_the_split_is_stratified_disjoint_and_whole():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 50))
    train, val = stratified_split(labels, val_size=100, seed=0)
    assert np.bincount(labels[val]).tolist() == [10] * 10
    assert sorted([*train, *val]) == list(range(500))
    assert train.tolist() == sorted(train)
    assert val.tolist() == sorted(val)


def test_the_split_depends_on_its_seed_alone():
    labels = np.arange(500) % 10
    first, again, other = (
        stratified_split(labels, val_size=100, seed=s)[1].tolist() for s in (0, 0, 1)
    )
    assert first == again != other


def test_without_a_validation_split_all_images_are_for_training():
    train, val = stratified_split(np.arange(50) % 10, val_size=0, seed=0)
    assert train.tolist() == list(range(50))
    assert len(val) == 0


@pytest.mark.parametrize("size", [5, 495, 500])
def test_a_split_that_cannot_be_stratified_is_told(size):
    message = rf"data.val_size {size} cannot be stratified over 500 images of 10 .*val_size=50$"
    with pytest.raises(UserError, match=message):
        stratified_split(np.arange(500) % 10, val_size=size, seed=0)


# --- folds and wrong labels -------------------------------------------------------------------


def test_a_fold_is_held_out_in_place_of_the_validation_split(tiny_official):
    options = {"root": tiny_official.root, "val_size": 20, "folds": 5, "split_seed": 3}
    folds = [load(fold=fold, **options) for fold in range(5)]
    held_out = [k for data in folds for k in data.val.index.tolist()]
    assert sorted(held_out) == list(range(120))
    for data in folds:
        assert (len(data.train), len(data.val), len(data.test)) == (96, 24, 40)
        assert not {*data.train.index.tolist()} & {*data.val.index.tolist()}
        labels = torch.from_numpy(tiny_official.train[1])
        assert torch.equal(data.val.labels, labels[data.val.index])
        assert set(np.bincount(data.val.labels).tolist()) <= {2, 3}


def test_more_folds_than_images_of_a_class_are_told(tiny_official):
    with pytest.raises(UserError, match=r"need 30 images of the smallest class, and there are 12"):
        load(root=tiny_official.root, folds=30)


def test_wrong_labels_are_planted_before_the_cut_and_never_in_the_test_images(tiny_official):
    options = {"root": tiny_official.root, "wrong_labels": 0.25, "split_seed": 1}
    whole = load(val_size=0, **options)
    true = torch.from_numpy(tiny_official.train[1])
    wrong = whole.train.labels != true
    assert wrong.sum() == 30
    assert torch.equal(whole.test.labels, torch.from_numpy(tiny_official.test[1]))
    assert torch.equal(whole.train.images, load(root=tiny_official.root, val_size=0).train.images)
    folds = [load(folds=3, fold=fold, **options) for fold in range(3)]
    for data in folds:
        for split in (data.train, data.val):
            assert torch.equal(split.labels, whole.train.labels[split.index])
        # Stratified over the labels as they are: nobody who cuts real data knows the others.
        found = np.bincount(data.val.labels, minlength=10)
        share = np.bincount(whole.train.labels, minlength=10) / 3
        assert abs(found - share).max() < 1


# --- the real data ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(real_data):
    return load(root=real_data)


def test_the_real_set_is_what_it_is_said_to_be(real):
    assert (len(real.train), len(real.val), len(real.test)) == (45_000, 5_000, 10_000)
    assert " ".join(real.classes) == (
        "airplane automobile bird cat deer dog frog horse ship truck"  # the official order
    )
    assert np.bincount(real.train.labels).tolist() == [4_500] * 10
    assert np.bincount(real.val.labels).tolist() == [500] * 10
    assert np.bincount(real.test.labels).tolist() == [1_000] * 10
    assert real.train.images.shape == (45_000, 3, 32, 32)
    assert real.digest == "0f12508475855676cb48d2277e2e8907"
    assert not real.synthetic


def test_the_real_split_is_disjoint_and_never_moves(real):
    """Pinned: recorded runs chose on these 5,000 images, and a new split would mix them up."""
    assert len({*real.train.index.tolist(), *real.val.index.tolist()}) == 50_000
    index = real.val.index.numpy().astype("<i8").tobytes()
    assert hashlib.sha256(index).hexdigest().startswith("07ca6e62760e0519")


def test_the_first_real_images_have_their_known_labels(real):
    """The first test images are a cat, two ships and an airplane, in every listing of CIFAR-10."""
    names = [real.classes[k] for k in real.test.labels[:4].tolist()]
    assert names == ["cat", "ship", "ship", "airplane"]


# --- the synthetic twin -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def twin():
    return synthetic(num_train=600, num_test=200, val_size=100)


def test_the_twin_has_the_shapes_of_the_real_set(twin):
    assert (len(twin.train), len(twin.val), len(twin.test)) == (500, 100, 200)
    assert twin.train.images.shape == (500, 3, 32, 32)
    assert twin.train.images.dtype is torch.uint8
    assert twin.train.labels.dtype is torch.int64
    assert twin.train.images.is_contiguous(memory_format=torch.channels_last)
    assert np.bincount(twin.test.labels).tolist() == [20] * 10
    assert twin.synthetic
    assert not twin.official_order


def test_the_twin_is_made_from_its_seed(twin):
    again, other = (synthetic(num_train=600, num_test=200, val_size=100, seed=s) for s in (0, 1))
    assert torch.equal(twin.train.images, again.train.images)
    assert torch.equal(twin.test.labels, again.test.labels)
    assert not torch.equal(twin.train.images, other.train.images)


def test_the_twin_can_have_100_classes():
    twin = synthetic(num_train=300, num_test=100, num_classes=100, val_size=100)
    assert twin.name == "cifar100"
    assert len(twin.classes) == 100
    assert set(twin.train.labels.tolist()) == set(range(100))


def test_the_twin_can_be_learnt(twin):
    """A linear model on pixels, fitted in one step, tells the test images apart."""
    x = twin.train.images.flatten(1).double() / 255 - 0.5
    y = torch.nn.functional.one_hot(twin.train.labels, 10).double() - 0.1
    ridge = torch.linalg.solve(x @ x.T + 300 * torch.eye(len(x), dtype=x.dtype), y)
    scores = (twin.test.images.flatten(1).double() / 255 - 0.5) @ (x.T @ ridge)
    accuracy = (scores.argmax(1) == twin.test.labels).double().mean().item()
    assert accuracy > 0.9


def test_the_twin_stands_in_under_a_banner(tmp_path, capsys):
    data = load_or_synthetic(root=tmp_path)
    (banner,) = capsys.readouterr().out.splitlines()
    assert banner.startswith(f"SYNTHETIC DATA: no cifar10 in {tmp_path}, so made-up patterns")
    command = f"`cifar-lessons data --dataset cifar10 --data {shlex.quote(str(tmp_path))}`"
    assert f"{command} fetches the real images" in banner
    assert data.synthetic
    assert len(load_or_synthetic(root=tmp_path, val_size=0).val) == 0
    assert len(load_or_synthetic("cifar100", root=tmp_path).classes) == 100


def test_the_twin_never_hides_damaged_data(tiny_official, capsys):
    (tiny_official.folder / "data_batch_3").unlink()
    with pytest.raises(UserError, match="data_batch_3 is missing"):
        load_or_synthetic(root=tiny_official.root)
    assert capsys.readouterr().out == ""


def test_no_banner_over_real_data(tiny_official, capsys):
    assert not load_or_synthetic(root=tiny_official.root, val_size=20).synthetic
    assert capsys.readouterr().out == ""
