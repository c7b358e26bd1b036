"""Mirrors cifar_lessons/training/checkpoint.py: damage is found, and nothing in a file runs."""

import hashlib
import io
import os
import pickle
import signal
import threading
from pathlib import Path

import pytest
import torch

from cifar_lessons.errors import UserError
from cifar_lessons.training import checkpoint
from cifar_lessons.training.checkpoint import MAGIC, load, save, stop_on_signal

STATE = {
    "model": {"weight": torch.arange(1000.0).view(10, 100), "steps": torch.tensor(3)},
    "history": [{"epoch": 1, "train_loss": 0.1 + 0.2}],
    "sums": {"loss": 0.5},
    "ema": None,
    "step": 2,
}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.pt"
    save(path, STATE)
    return path


def same(a: object, b: object) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        load(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    assert f"delete {path} to start this run afresh, or choose another folder" in message
    return message


def with_digest(payload: bytes) -> bytes:
    return MAGIC + hashlib.sha256(payload).digest() + payload


# --- what is saved is read again --------------------------------------------------------------


def test_a_state_comes_back_bit_for_bit(saved):
    assert same(load(saved), STATE)
    assert [p.name for p in saved.parent.iterdir()] == ["checkpoint.pt"]


def test_layout_in_memory_is_kept(tmp_path):
    """A resumed run must compute in the same order, down to the last bit."""
    weight = torch.rand(4, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    save(tmp_path / "c", {"weight": weight})
    assert load(tmp_path / "c")["weight"].is_contiguous(memory_format=torch.channels_last)


def test_a_second_save_takes_the_place_of_the_first(saved):
    save(saved, {**STATE, "step": 3})
    assert load(saved)["step"] == 3


# --- damage -----------------------------------------------------------------------------------


def test_every_flipped_byte_is_found(saved):
    raw = saved.read_bytes()
    for at in [*range(0, len(MAGIC) + 40, 7), *range(len(MAGIC) + 40, len(raw), len(raw) // 20)]:
        harmed = bytearray(raw)
        harmed[at] ^= 0x10
        saved.write_bytes(harmed)
        message = refused(saved)
        assert ("is no 'cifar-lessons checkpoint 1'" in message) is (at < len(MAGIC))


@pytest.mark.parametrize("keep", [0, 1, 20, 27, 40, 59, 60, 1000, -1])
def test_every_truncation_is_found(saved, keep):
    saved.write_bytes(saved.read_bytes()[:keep])
    message = refused(saved)
    if keep == 0:
        assert "'an empty file'" in message
    elif keep >= len(MAGIC) or keep < 0:
        assert "is damaged (its sha256 does not match)" in message


def test_a_file_of_another_version_is_named(saved):
    saved.write_bytes(saved.read_bytes().replace(b"checkpoint 1\n", b"checkpoint 2\n", 1))
    message = refused(saved)
    assert "is no 'cifar-lessons checkpoint 1' but 'cifar-lessons checkpoint 2'" in message


def test_a_file_of_another_program_is_named(saved):
    torch.save(STATE, saved)
    assert "is no 'cifar-lessons checkpoint 1' but 'PK" in refused(saved)


def test_a_folder_in_its_place_is_told(tmp_path):
    (tmp_path / "checkpoint.pt").mkdir()
    assert "Is a directory" in refused(tmp_path / "checkpoint.pt")


# --- trust ------------------------------------------------------------------------------------


class Bomb:
    """Makes a folder if it is ever unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_a_file_that_wants_to_run_code_is_refused(tmp_path):
    """Even with the right sha256, which anybody can compute."""
    mark, path, buffer = tmp_path / "exploded", tmp_path / "c", io.BytesIO()
    torch.save({"model": Bomb(mark)}, buffer)
    path.write_bytes(with_digest(buffer.getvalue()))
    assert "holds more than tensors and plain containers" in refused(path)
    path.write_bytes(with_digest(pickle.dumps(Bomb(mark), protocol=2)))
    assert "holds more than tensors and plain containers" in refused(path)
    assert not mark.exists()
    torch.load(io.BytesIO(buffer.getvalue()), weights_only=False)  # guards this test
    assert mark.exists()


def test_a_file_that_holds_something_else_is_refused(tmp_path):
    path, buffer = tmp_path / "c", io.BytesIO()
    torch.save([1, 2], buffer)
    path.write_bytes(with_digest(buffer.getvalue()))
    assert "holds a list, not the state of a run" in refused(path)


# --- the disk ---------------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full: a device that is full")
def test_the_old_checkpoint_stands_when_the_disk_is_full(saved):
    saved.with_name("checkpoint.pt.part").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot write .*checkpoint.pt: No space left on device"):
        save(saved, {**STATE, "step": 3})
    assert load(saved)["step"] == 2


@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_the_old_checkpoint_stands_when_a_process_dies(saved, monkeypatch, stage):
    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    monkeypatch.setattr(os, stage, die)
    with pytest.raises(Killed):
        save(saved, {**STATE, "step": 3})
    assert load(saved)["step"] == 2
    monkeypatch.undo()
    save(saved, {**STATE, "step": 4})  # what was left behind is no hindrance
    assert load(saved)["step"] == 4


# --- a clean stop -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_the_old_handlers_come_back(number):
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    with stop_on_signal() as stop:
        assert not stop
        signal.raise_signal(number)
        assert stop
        assert stop.signal == number
    assert {n: signal.getsignal(n) for n in before} == before


def test_the_second_signal_interrupts_at_once():
    def interrupt_twice() -> None:
        with stop_on_signal():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupt_twice()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_changes_no_handler():
    """There Python delivers no signals, and setting a handler is an error."""
    found = []

    def work() -> None:
        with stop_on_signal() as stop:
            found.append((bool(stop), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, signal.default_int_handler)]


def test_the_writer_is_the_atomic_one():
    assert checkpoint.write_atomically.__module__ == "cifar_lessons.atomic"
