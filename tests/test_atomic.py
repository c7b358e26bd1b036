"""Mirrors cifar_lessons/atomic.py: the old file or the new one, whatever fails."""

import errno
import os
from pathlib import Path

import pytest

from cifar_lessons import atomic
from cifar_lessons.atomic import alone_in, require_writable, write_atomically
from cifar_lessons.errors import UserError


def fail(number: int):
    def raising(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    return raising


def test_the_folder_is_made_and_the_content_is_whole(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_half_file_of_a_killed_process_is_written_over(tmp_path):
    (tmp_path / "file.part").write_bytes(b"half of something longer")
    write_atomically(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert not (tmp_path / "file.part").exists()


@pytest.mark.parametrize("stage", ["open", "fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.ENOSPC, "No space left on device; free some space and run the same command again"),
        (errno.EDQUOT, "free some space and run the same command again; what was saved before is"),
        (errno.EACCES, "Permission denied; choose another folder with --out"),
        (errno.EIO, "choose another folder with --out"),
    ],
)
def test_the_old_file_stands_when_a_stage_fails(tmp_path, monkeypatch, stage, number, mend):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    if stage == "open":
        monkeypatch.setattr(atomic, "open", fail(number), raising=False)
    else:
        monkeypatch.setattr(os, stage, fail(number))
    with pytest.raises(UserError) as error:
        write_atomically(path, b"new")
    assert str(error.value).startswith(f"cannot write {path}: ")
    assert mend in str(error.value)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full: a device that is full")
def test_a_disk_that_is_really_full(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.with_name("file.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match="No space left on device; free some space"):
        write_atomically(path, b"new" * 10_000)
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new")  # the link is gone: space was freed
    assert path.read_bytes() == b"new"


def test_the_bytes_are_on_the_disk_before_they_take_the_name(tmp_path, monkeypatch):
    """Else a power cut could leave the new name over an empty file."""
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=real: (done.append(n), r(*a)))
    write_atomically(tmp_path / "file", b"new")
    assert done == ["fsync", "replace"]


def test_a_mend_of_the_callers_own(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*below/new: .*; try another book$"):
        write_atomically(tmp_path / "file" / "below" / "new", b"new", mend="try another book")


def test_a_writable_folder_is_made_and_left_empty(tmp_path):
    require_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError) as error:
            require_writable(folder)
        assert str(error.value).startswith(f"cannot write {folder}: ")
        assert str(error.value).endswith("choose another folder with --out")


def test_a_folder_without_permission(tmp_path, monkeypatch):
    """Made to fail by hand: the superuser, as which tests may run, is let in everywhere."""
    monkeypatch.setattr(Path, "touch", fail(errno.EACCES))
    with pytest.raises(UserError, match=r"cannot write .*: Permission denied; choose another"):
        require_writable(tmp_path)


def test_two_that_ask_at_once_whether_a_folder_is_writable_do_not_harm_each_other(
    tmp_path, monkeypatch
):
    touch = Path.touch

    def touch_and_lose(probe, *args, **kwargs):
        touch(probe, *args, **kwargs)
        probe.unlink()  # by the other one

    monkeypatch.setattr(Path, "touch", touch_and_lose)
    require_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_process_at_a_time_works_in_a_folder(tmp_path):
    folder = tmp_path / "run"
    taken = pytest.raises(UserError, match="another process is at work in")
    with alone_in(folder), taken, alone_in(folder):
        raise AssertionError("unreachable: the folder is taken")
    with alone_in(folder):  # free again
        (folder / "run.json").touch()
    assert [path.name for path in folder.iterdir()] == ["run.json"]  # finished: no lock is left
