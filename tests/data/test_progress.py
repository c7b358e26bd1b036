"""Mirrors cifar_lessons/data/progress.py."""

import io
import sys

import pytest

from cifar_lessons.data.progress import Progress, megabytes


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("count", "text"), [(170_498_071, "170 MB"), (34_000_000, "34 MB"), (240_000, "0.2 MB")]
)
def test_megabytes(count, text):
    assert megabytes(count) == text


def test_a_line_every_ten_seconds_where_there_is_no_terminal(capsys):
    clock = Clock()
    with Progress("cifar10", have=30_000_000, total=170_000_000, clock=clock) as progress:
        for _ in range(25):
            clock.now += 1
            progress.add(70_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "cifar10: 31 MB of 170 MB, 70 kB/s, 33 min left",
        "cifar10: 31 MB of 170 MB, 70 kB/s, 33 min left",
    ]


def test_seconds_left_near_the_end_and_no_guess_without_a_length():
    clock = Clock()
    known = Progress("x", have=0, total=20_000_000, clock=clock)
    unknown = Progress("x", have=0, total=None, clock=clock)
    clock.now += 10
    for progress in (known, unknown):
        progress.add(10_000_000)
    assert known.line() == "x: 10 MB of 20 MB, 1,000 kB/s, 10 s left"
    assert unknown.line() == "x: 10 MB, 1,000 kB/s"


def test_nothing_is_shown_when_nobody_wants_it(capsys):
    clock = Clock()
    with Progress("x", have=0, total=10, shown=False, clock=clock) as progress:
        clock.now += 100
        progress.add(5)
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("cifar10", have=500, total=1_000) as progress:
        progress.add(500)
        progress.bar.refresh()
    assert "cifar10: 100%" in terminal.getvalue()
    assert "1.00k/1.00k" in terminal.getvalue()
