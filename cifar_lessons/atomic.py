"""Files that are whole or not there at all, whenever the process dies; folders with one writer."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from cifar_lessons.errors import UserError

OTHER_FOLDER = "choose another folder with --out"
RUNNING = ".running"


def write_atomically(path: Path, content: bytes, *, mend: str = OTHER_FOLDER) -> None:
    """Write a file so that its name never shows a half of it.

    The bytes go beside it, are flushed to the disk, and then take its name.

    Args:
        path: Of the file; its folder is made.
        content: All of it.
        mend: What to type where the folder cannot be written.

    Raises:
        UserError: The folder cannot be written, or the disk is full; the old file still stands.
    """
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise _explained(path, error, mend) from None


def require_writable(folder: Path, *, mend: str = OTHER_FOLDER) -> None:
    """Make a folder and raise a `UserError` unless files can be written in it.

    Asked before long work, so that an hour is not lost to a wrong --out.
    """
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)  # of two processes that ask at once, one is the first
    except OSError as error:
        raise _explained(folder, error, mend) from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a lock in a run's folder while the block runs; yield whether it was free.

    The system frees the lock of a process that dies, however it dies: there is nothing to clean up.

    Args:
        path: Of the lock; its folder is made, and it is gone once the run is finished.

    Raises:
        UserError: The folder cannot be written.
    """
    import filelock

    require_writable(path.parent)
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        yield False
        return
    except OSError as error:
        raise _explained(path, error, OTHER_FOLDER) from None
    try:
        yield True
    finally:
        # Whoever gets hold of it now finds the run finished.
        if (path.parent / "run.json").exists():
            path.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def alone_in(folder: Path, *, lock: str = RUNNING) -> Iterator[None]:
    """Keep other processes out of a run's folder while the block runs; it is made.

    Two that trained the same run would write the same checkpoint, and one could tear it.

    Args:
        folder: Of the work.
        lock: Name of the file that is locked, where several kinds of work share a folder.

    Raises:
        UserError: Another process is at work there, or it cannot be written.
    """
    with locked(folder / lock) as mine:
        if not mine:
            raise UserError(
                f"another process is at work in {folder}; wait until it ends, or {OTHER_FOLDER}"
            )
        yield


def _explained(path: Path, error: OSError, mend: str) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        mend = "free some space and run the same command again; what was saved before is intact"
    return UserError(f"cannot write {path}: {error.strerror or error}; {mend}")
