"""Checkpoints that survive a crash at any moment, and that say so when they are damaged.

A checkpoint is written beside its final name, flushed to the disk, and renamed: a reader sees
the old one or the new one, never a half. A sha256 in front of the bytes finds damage before
anything is parsed, and `weights_only=True` keeps a file from running code.
"""

import contextlib
import hashlib
import io
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from cifar_lessons.atomic import write_atomically
from cifar_lessons.distributed import Group
from cifar_lessons.errors import UserError

MAGIC = b"cifar-lessons checkpoint 1\n"


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
    try:
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception:  # the sha256 is right, so someone made this file: anything can come
        raise UserError(f"{path} holds more than tensors and plain containers; {mend}") from None
    if not isinstance(state, dict):
        raise UserError(f"{path} holds a {type(state).__name__}, not the state of a run; {mend}")
    return state


def require_same(saved: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    """Raise a `UserError` unless the checkpoint is of this very run."""
    # Both sides' keys: a model option that was set then and is not set now differs too.
    for key in dict.fromkeys([*now, *saved]):
        then, today = saved.get(key, {}), now.get(key, {})  # {} is a table without options
        if then != today:
            was, is_ = ("not set" if value == {} else repr(value) for value in (then, today))
            raise UserError(
                f"{path} is of another run ({key}: saved {was}, now {is_}); delete it, or choose "
                "another folder with --out"
            )


def load_furthest(path: Path, group: Group) -> dict[str, Any] | None:
    """Return the checkpoint that is furthest in its run, the same on every rank, or None.

    Machines may share a folder or have one each. Where they don't share, only that of rank 0 has
    the file, and after a restart another machine may hold rank 0: so it is sought on all.

    Raises:
        UserError: See `load`; on every rank.
    """
    state: dict[str, Any] | None = None
    with group.together():
        if path.exists():
            state = load(path)
    place = (-1, 0) if state is None else (state.get("epoch", 0), state.get("step", 0))
    places = group.gather(place)
    return group.broadcast(state, source=places.index(max(places)))


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
