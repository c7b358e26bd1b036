"""Mirrors cifar_lessons/typed.py: what becomes of the words that a person types."""

import sys

import pytest

from cifar_lessons.errors import UserError
from cifar_lessons.typed import in_one_line, parse, typed

done: list[str] = []


def walk(*, steps: int = 1) -> None:
    """Walk.

    Args:
        steps: How many.
    """
    done.append(f"walked {steps}")


def run() -> None:
    """Run."""
    done.append("ran")


def parsed(*words: str):
    return parse(list(words), {"walk": walk, "run": run}, prog="legs", description="Go.")


def test_a_command_is_remembered_and_called_later():
    done.clear()
    call = parsed("walk", "--steps", "3")
    assert done == []
    call()
    assert done == ["walked 3"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["wlak"], "no command 'wlak': did you mean 'walk'?"),
        (["walk", "--step", "3"], "did you mean --steps?; `legs walk --help` shows what it takes"),
        (["walk", "--steps", "far"], "Error parsing --steps: invalid literal for int()"),
        (["run", "away"], "Unrecognized options: away; `legs run --help` shows what it takes"),
    ],
)
def test_a_mistake_is_told_in_one_line(words, said):
    with pytest.raises(UserError) as error:
        parsed(*words)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_help_is_no_mistake(capsys):
    with pytest.raises(SystemExit) as stop:
        parsed("--help")
    assert stop.value.code == 0
    assert "Go." in capsys.readouterr().out


def test_an_option_is_not_offered_in_place_of_itself():
    box = (
        "╭ Problem ╮\n│ Unrecognized options: --step (applied to legs walk) │\n│ ──── │\n"
        "│ Perhaps you meant: │\n│ --step, │\n│ --steps, --stride │\n╰───╯\n"
    )
    assert in_one_line(box) == "Unrecognized options: --step: did you mean --steps?"


def test_a_box_becomes_a_line():
    box = "╭ Problem ╮\n│ Something is   │\n│ wrong.         │\n╰────────╯\n"
    assert in_one_line(box) == "Something is wrong"


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("train simple_cnn --out /home/me/runs --seed 1", "train simple_cnn --seed 1"),
        ("train simple_cnn --data=/mnt/cifar --seed 1", "train simple_cnn --seed 1"),
        ("tune tuning_base --storage mysql://me:secret@host/x", "tune tuning_base"),
        ("bench train --seconds 5 --data /mnt/cifar", "bench train --seconds 5"),
    ],
)
def test_a_recorded_command_names_no_folder_of_this_machine(monkeypatch, words, kept):
    monkeypatch.setattr(sys, "argv", ["cifar-lessons", *words.split()])
    assert typed() == f"cifar-lessons {kept}"
