"""Checkpoints that survive a crash at any moment, and that say so when they are damaged.

A checkpoint is written beside its final name, flushed to the disk, and renamed: a reader sees
the old one or the new one, never a half. A sha256 in front of the bytes finds damage before
anything is parsed, and `weights_only=True` keeps a file from running code.
"""

import contextlib
import errno
import hashlib
import io
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from cifar_lessons.errors import UserError

MAGIC = b"cifar-lessons checkpoint 1\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that its name never shows a half of it.

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
        mend = (
            "free some space and run the same command again; what was saved before is intact"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else "choose another folder with --out"
        )
        raise UserError(f"cannot write {path}: {error.strerror}; {mend}") from None


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain containers; see `write_atomically` for what can go wrong."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getbuffer()
    write_atomically(path, MAGIC + hashlib.sha256(payload).digest() + payload)


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, on the CPU.

    Raises:
        UserError: Not a checkpoint of this version, or damaged.
    """
    mend = f"delete {path} to start this run afresh, or choose another folder with --out"
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; {mend}") from None
    if not raw.startswith(MAGIC):
        found = raw[: len(MAGIC)].decode("ascii", "replace").strip() or "an empty file"
        expected = MAGIC.decode().strip()
        raise UserError(f"{path} is no {expected!r} but {found!r}; {mend}")
    body = memoryview(raw)[len(MAGIC) :]
    digest, payload = bytes(body[:32]), body[32:]
    if hashlib.sha256(payload).digest() != digest:
        raise UserError(f"{path} is damaged (its sha256 does not match); {mend}")
    state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    return state


class StopRequest:
    """Whether someone asked for a clean stop: SIGTERM or Ctrl-C."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.signal: int | None = None

    def __bool__(self) -> bool:
        """Return whether a signal came."""
        return self.signal is not None


@contextlib.contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turn SIGTERM and Ctrl-C into a request that the loop reads between two steps.

    The second Ctrl-C interrupts at once. Outside the main thread, where Python delivers no
    signals, nothing is changed.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, _frame: Any) -> None:
        if request.signal is not None:
            raise KeyboardInterrupt
        request.signal = number

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
