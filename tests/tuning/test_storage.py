"""Mirrors cifar_lessons/tuning/storage.py: what holds a search, and what it says when it can't."""

import optuna
import pytest

from cifar_lessons.errors import UserError
from cifar_lessons.tuning import storage
from cifar_lessons.tuning.storage import open_storage, quiet


@pytest.fixture(autouse=True)
def _quiet():
    with quiet():
        yield


def trials(where: str) -> int:
    return len(optuna.load_study(study_name="s", storage=open_storage(where)).trials)


def fill(where: str, n: int) -> None:
    study = optuna.create_study(storage=open_storage(where), study_name="s", load_if_exists=True)
    for _ in range(n):
        study.tell(study.ask(), 1.0)


@pytest.mark.parametrize("kind", ["deep/er/mine.journal", "sqlite:///{}/mine.db"])
def test_what_was_told_is_there_the_next_time(tmp_path, kind):
    where = kind.format(tmp_path) if "{}" in kind else str(tmp_path / kind)
    fill(where, 2)
    fill(where, 1)
    assert trials(where) == 3


def test_half_a_line_is_cut_off_and_what_follows_can_be_read(tmp_path):
    """A full disk leaves half a line; Optuna alone would append to it and never read it again."""
    path = tmp_path / "mine.journal"
    fill(str(path), 2)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":4,"study_id":0,"datet')
    fill(str(path), 1)
    assert path.read_bytes().startswith(whole)
    assert trials(str(path)) == 3
    empty = tmp_path / "empty.journal"
    empty.touch()
    fill(str(empty), 1)
    assert trials(str(empty)) == 1
    first = tmp_path / "first.journal"
    first.write_bytes(b'{"op_code":0,"worker')
    fill(str(first), 1)
    assert trials(str(first)) == 1


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("folder", "storage folder cannot be used (it is a folder)"),
        ("text", "(it is no journal of Optuna, or damaged)"),
        ("json", "(it is no journal of Optuna, or damaged)"),
        ("line", "(it is no journal of Optuna, or damaged)"),
        ("text/mine.journal", "storage text/mine.journal cannot be used ("),
        ("sqlite:///no/such/folder/x.db", "(unable to open database file)"),
        ("sqlite:///text", "(file is not a database)"),
        ("oracel://host/x", "storage oracel://host/x cannot be used ("),
        ("redis://host/x", "(Redis is not supported)"),
        ("http:/://", "storage http:/://"),
        ("://", "storage ://"),
    ],
)
def test_a_storage_that_cannot_be_used_is_told_in_one_line(tmp_path, monkeypatch, where, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("a poem,\nand no journal\n" * 40)
    (tmp_path / "json").write_text('{"a": 1}\n{"b": 2}\n')
    (tmp_path / "line").write_text("a file of somebody else's, without an end of line")
    monkeypatch.setattr(storage, "TRIES", 1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(UserError) as error:
        open_storage(where)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in before} == before  # nobody's file is changed
    assert "type the same command again, or choose a file, as in --storage" in str(error.value)


def test_a_password_is_never_shown():
    where = "mysql+nodriver://me:s3cret@host/tune"
    assert storage.shown(where) == "mysql+nodriver://me:***@host/tune"
    assert storage.shown("outputs/x.journal") == "outputs/x.journal"
    with pytest.raises(UserError) as error, storage.explained(where):
        raise OSError("no way to me:s3cret@host")
    assert "s3cret" not in str(error.value)


def test_a_pipe_that_was_closed_is_no_matter_of_the_storage():
    with pytest.raises(BrokenPipeError), storage.explained("x"):
        raise BrokenPipeError


def test_optuna_is_silent_inside_and_as_before_outside():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with quiet():
        assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
