"""The command line, typed in this process: what it said, and how it ended."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from cifar_lessons import cli


class Answer(NamedTuple):
    """What a command said, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def mistake(self) -> str:
        """The one line that a person reads; anything else fails here."""
        assert self.status == 2, (self.out, self.err)
        assert "Traceback" not in self.err
        (line,) = self.err.splitlines()
        assert line.startswith("cifar-lessons: ")
        return line.removeprefix("cifar-lessons: ")


Type = Callable[..., Answer]


def type_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> Answer:
    """Run `cifar-lessons` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["cifar-lessons", *arguments])
    capsys.readouterr()
    status = 0
    try:
        cli.main()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0
    said = capsys.readouterr()
    return Answer(status, said.out, said.err)
