"""Mirrors cifar_lessons/data/official.py."""

import os
import tarfile
from pathlib import Path

import pytest

from cifar_lessons.data import official as module
from cifar_lessons.data.official import SourceError, faults, official, unpack
from cifar_lessons.errors import UserError


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def tarball(made_up, tmp_path) -> Path:
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(made_up.raw)
    return path


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100)])
def test_names_and_md5s_are_those_of_torchvision(name, classes):
    from torchvision import datasets

    theirs, ours = getattr(datasets, name.upper()), official(name)
    assert (ours.url, ours.filename, ours.md5) == (theirs.url, theirs.filename, theirs.tgz_md5)
    assert ours.folder == theirs.base_folder
    assert [list(f) for f in ours.files[:-1]] == theirs.train_list + theirs.test_list
    assert ours.files[-1] == (theirs.meta["filename"], theirs.meta["md5"])
    assert len(set(ours.classes)) == classes
    assert list(ours.classes) == sorted(ours.classes)  # the official label order is alphabetical
    assert ours.digests.keys() == ours.counts.keys() == {"train", "test"}


def test_an_unknown_name_gets_the_nearest_ones():
    with pytest.raises(ValueError, match="no data set 'cifar': did you mean 'cifar10'"):
        official("cifar")


def test_unpacks_the_files_and_nothing_else(made_up, tarball, root):
    folder = unpack(made_up.archive, tarball, root)
    assert folder == root / "cifar-10-batches-py"
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == made_up.files
    assert os.listdir(root) == ["cifar-10-batches-py"]
    assert faults(made_up.archive, root) == []
    assert not made_up.exploded.exists()


def test_one_wrong_byte_and_nothing_is_unpacked(made_up, tarball, root, monkeypatch):
    wrong = bytearray(made_up.raw)
    wrong[len(wrong) // 2] ^= 1
    tarball.write_bytes(wrong)
    monkeypatch.setattr(tarfile, "open", lambda *a, **k: pytest.fail("opened before the md5"))
    with pytest.raises(SourceError, match=rf"md5 \w+, expected {made_up.archive.md5}: not the"):
        unpack(made_up.archive, tarball, root)
    assert os.listdir(root) == []


def test_an_archive_of_another_size_is_not_even_hashed(made_up, tarball, root, monkeypatch):
    monkeypatch.setattr(module, "md5_of", lambda path: pytest.fail("hashed"))
    tarball.write_bytes(made_up.raw[:-5])
    size = made_up.archive.size
    with pytest.raises(SourceError, match=f"{size - 5:,} bytes, expected {size:,}: not cifar-10"):
        unpack(made_up.archive, tarball, root)


def test_no_such_archive(made_up, root):
    with pytest.raises(SourceError, match="no such file"):
        unpack(made_up.archive, root / "absent.tar.gz", root)


def test_paths_and_links_of_an_archive_never_reach_the_disk(made_up, tarball, root, pack):
    link = tarfile.TarInfo("cifar-10-batches-py/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    raw = pack(
        {"../outside": b"x", "/absolute": b"x", "cifar-10-batches-py/readme": b"x"}
        | {f"cifar-10-batches-py/{name}": content for name, content in made_up.files.items()},
        link,
    )
    tarball.write_bytes(raw)
    folder = unpack(made_up.with_raw(raw), tarball, root)
    assert sorted(os.listdir(folder)) == sorted(made_up.files)
    assert os.listdir(root) == ["cifar-10-batches-py"]
    assert not (root.parent / "outside").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_batch": None}, "an archive without cifar-10-batches-py/test_batch"),
        (
            {"test_batch": b"other"},
            r"whose test_batch has md5 795f3202b17cb6bc3d4b771d8c6c9eaf, exp",
        ),
    ],
)
def test_a_member_that_is_missing_or_another(made_up, tarball, root, pack, change, message):
    files = {k: v for k, v in {**made_up.files, **change}.items() if v is not None}
    raw = pack({f"cifar-10-batches-py/{name}": content for name, content in files.items()})
    tarball.write_bytes(raw)
    with pytest.raises(SourceError, match=message):
        unpack(made_up.with_raw(raw), tarball, root)
    assert os.listdir(root) == []


def test_an_archive_that_breaks_off_inside(made_up, tarball, root):
    raw = made_up.raw[:100_000]
    tarball.write_bytes(raw)
    with pytest.raises(SourceError, match="a damaged archive"):
        unpack(made_up.with_raw(raw), tarball, root)
    assert os.listdir(root) == []


def test_faults_are_named_and_unpacking_mends_them(made_up, tarball, root):
    folder = unpack(made_up.archive, tarball, root)
    (folder / "data_batch_2").write_bytes(b"other")
    (folder / "test_batch").unlink()
    (folder / "mine.txt").write_text("stays")
    (root / ".cifar-10-batches-py.unpacking").mkdir()  # a run was killed here
    (root / ".cifar-10-batches-py.unpacking" / "half").write_bytes(b"x")
    two, three = faults(made_up.archive, root)
    assert two.startswith("data_batch_2 has md5 795f3202b17cb6bc3d4b771d8c6c9eaf, expected ")
    assert three == "test_batch is missing"
    unpack(made_up.archive, tarball, root)
    assert faults(made_up.archive, root) == []
    assert (folder / "mine.txt").exists()
    assert os.listdir(root) == ["cifar-10-batches-py"]


def test_a_full_disk_leaves_nothing_behind(made_up, tarball, root, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"disk is full: cannot write .*cifar-10-batches-py"):
        unpack(made_up.archive, tarball, root)
    assert os.listdir(root) == []
