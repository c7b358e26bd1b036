"""Mirrors cifar_lessons/tuning/display.py."""

import optuna
import pytest

from cifar_lessons.tuning.display import Display, line
from cifar_lessons.tuning.search import search
from cifar_lessons.tuning.trials import Trial

SETTINGS = {"batch_size": 181, "optim.peak_lr": 0.083}


def trial(**more) -> Trial:
    asked = {"number": 7, "state": "complete", "settings": SETTINGS, "values": (0.5, 0.8124)}
    return Trial(**{**asked, "seconds": 61.4, **more})


def test_a_trial_is_a_line():
    leader = trial(number=3, values=(0.83,))
    said = "trial 7 batch_size 181 peak_lr 0.083 complete 81.24 % (best 83.00 %, trial 3) 61 s"
    assert " ".join(line(trial(), leader).split()) == said
    assert "pruned 81.24 % after 2 epochs" in line(trial(state="pruned"))
    assert "diverged 0.00 %" in line(trial(state="diverged"))
    assert "failed  61 s" in line(trial(state="failed", values=()))


def test_elsewhere_than_on_a_terminal_every_trial_is_a_line(workplace, fake, capsys):
    search(workplace(progress=True), trials=3)
    lines = capsys.readouterr().out.splitlines()
    assert [text.split()[:2] for text in lines] == [["trial", str(n)] for n in range(3)]
    search(workplace(progress=False), trials=3)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar(workplace, fake, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    search(workplace(progress=True), trials=3)
    said = capsys.readouterr()
    assert said.out == ""
    assert "3/3" in said.err
    assert "best " in said.err


def test_waiting_is_told_once(capsys):
    with Display(optuna.create_study(), 4, True) as display:
        display.wait(1)
        display.wait(1)
    assert capsys.readouterr().out.count("waiting for one trial of other processes") == 1


@pytest.fixture(autouse=True)
def _quiet():
    from cifar_lessons.tuning.storage import quiet

    with quiet():
        yield
