"""What the disk refuses, said in one line."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cifar_lessons.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into a `UserError` that names the path and the mend.

    Network errors are `OSError`s too: keep them out of the block.
    """
    try:
        yield
    except OSError as error:
        where = error.filename or path
        if error.errno in FULL:
            reason = f"the disk is full: cannot write {where}; free some space, or"
        else:
            reason = f"cannot write {where}: {error.strerror or error}; mend that, or"
        raise UserError(f"{reason} choose another folder with --data DIR") from error


def require_space(folder: Path, needed: int) -> None:
    """Raise a `UserError` if fewer than `needed` bytes are free: now, not after an hour."""
    with explained(folder):
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"the disk is nearly full: {folder} has {free / 1e6:,.0f} MB free and this needs "
            f"{needed / 1e6:,.0f} MB; free some space, or choose another folder with --data DIR"
        )
