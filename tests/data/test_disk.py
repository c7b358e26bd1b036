"""Mirrors cifar_lessons/data/disk.py."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from cifar_lessons.data.disk import explained, require_space
from cifar_lessons.errors import UserError


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full: cannot write /data/x; free some space, or choose"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "cannot write /data/x: Permission denied; mend that, or choose"),
        (errno.EROFS, "cannot write /data/x: Read-only file system"),
    ],
)
def test_what_the_disk_refuses_is_one_line_with_path_and_mend(number, words):
    with pytest.raises(UserError) as caught, explained(Path("/data")):
        raise OSError(number, os.strerror(number), "/data/x")
    assert words in str(caught.value)
    assert str(caught.value).endswith("another folder with --data DIR")
    assert "\n" not in str(caught.value)


def test_the_path_of_the_block_stands_in_for_an_error_without_one():
    with pytest.raises(UserError, match="cannot write /data: "), explained(Path("/data")):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_other_errors_pass():
    with pytest.raises(KeyError), explained(Path("/data")):
        raise KeyError("x")


def test_too_little_space_is_said_beforehand(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=100_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    require_space(tmp_path, 100_000_000)
    with pytest.raises(UserError, match=r"has 100 MB free and this needs 366 MB; free some space"):
        require_space(tmp_path, 366_000_000)
