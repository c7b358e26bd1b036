"""Where a search is kept, so that it can be continued, and shared by processes and machines.

The default is Optuna's journal: one file to which every process appends lines of JSON under a
lock that also works on network file systems, where SQLite's does not (https://sqlite.org/faq.html,
question 5). A database URL is for many machines without a common folder.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from cifar_lessons.errors import UserError

JOURNAL = b'{"op_code":'  # with which a journal begins
NO_JOURNAL = "it is no journal of Optuna, or damaged"
TRIES = 5  # to open a database that another process is just setting up


def is_url(where: str) -> bool:
    """Return whether `where` names a database and not a file of ours."""
    return "://" in where


def shown(where: str) -> str:
    """Return a storage as it may be printed and kept: without its password."""
    if not is_url(where):
        return where
    try:
        return make_url(where).render_as_string(hide_password=True)
    except ArgumentError:
        return where.partition("://")[0] + "://…"


@contextlib.contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what a storage raises into a `UserError` of one line."""
    try:
        yield
    except BrokenPipeError:  # the reader of what we print has gone: no matter of the storage
        raise
    except (SQLAlchemyError, StorageInternalError, ImportError, OSError) as error:
        # Optuna wraps what the database said, and the database driver says it in several lines.
        reason = str(error.__cause__ or error).partition("\n")[0]
        if is_url(where) and (secret := _password(where)):
            reason = reason.replace(secret, "***")
        raise UserError(
            f"storage {shown(where)} cannot be used ({reason}); mend it and type the same command "
            "again, or choose a file, as in --storage outputs/tune/mine.journal, or another "
            "database URL, as in --storage sqlite:///mine.db"
        ) from None


def _password(where: str) -> str:
    try:
        return str(make_url(where).password or "")
    except ArgumentError:
        return ""


def open_storage(where: str) -> BaseStorage:
    """Return the storage, made if it is not there.

    Args:
        where: A path, of a journal file; or a URL that SQLAlchemy knows, of a database.

    Raises:
        UserError: It can't be reached, or is something else.
    """
    with explained(where):
        return _database(where) if is_url(where) else _journal(Path(where))


def _journal(path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError("it is a folder")
    _drop_half_line(path)
    try:
        return JournalStorage(JournalFileBackend(str(path)))
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
        # Not JSON, or not a journal's JSON: which of these it is depends on the line.
        raise OSError(NO_JOURNAL) from None


def _drop_half_line(path: Path) -> None:
    """Cut off what a full disk or a lost machine left of the last line.

    Optuna skips such a half, and then appends to it, which makes the whole file unreadable.
    """
    if not path.exists() or _ends_well(path):
        return
    with path.open("rb") as file:
        if file.read(len(JOURNAL)) != JOURNAL:
            raise OSError(NO_JOURNAL)  # and not ours to change
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()  # whoever is writing right now finishes first
    try:
        if not _ends_well(path):
            content = path.read_bytes()
            os.truncate(path, content.rfind(b"\n") + 1)
    finally:
        lock.release()


def _ends_well(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _database(url: str) -> BaseStorage:
    if url.startswith("redis"):
        raise OSError("Redis is not supported")
    # Processes wait for each other's short writes. 5 seconds, the default, are little on a disk
    # that is shared and busy.
    options = {"connect_args": {"timeout": 60}} if re.match(r"sqlite\b", url) else {}
    for left in reversed(range(TRIES)):
        try:
            return RDBStorage(url, engine_kwargs=options)
        except (SQLAlchemyError, StorageInternalError):
            # Two processes that create the tables at once: one of them fails, and finds them
            # there the next time.
            if not left or not url.startswith("sqlite"):
                raise
            time.sleep(0.2)
        except RuntimeError as error:  # tables of another version of Optuna
            raise OSError(str(error).partition("\n")[0]) from None
    raise AssertionError("unreachable: the last try returns or raises")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's own log lines: what it would say, we say."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
