"""Mirrors cifar_lessons/torchrun.py."""

import pytest

from cifar_lessons import torchrun as module
from cifar_lessons.errors import UserError
from cifar_lessons.torchrun import torchrun

SCRIPT = """
import os, sys
print("rank", os.environ["RANK"], "of", os.environ["WORLD_SIZE"], os.environ["OMP_NUM_THREADS"])
print(os.path.basename(os.getcwd()), *sys.argv[1:])
"""


def test_it_starts_processes_that_know_of_each_other(tmp_path):
    """Two real processes, without torch."""
    (tmp_path / "who.py").write_text(SCRIPT)
    said = torchrun(["who.py", "--word", "two words"], processes=2, threads=3, folder=tmp_path)
    place = f"{tmp_path.name} --word two words"
    assert sorted(said.splitlines()) == sorted([place, place, "rank 0 of 2 3", "rank 1 of 2 3"])


@pytest.mark.parametrize(
    ("err", "words"),
    [
        (
            "W1 a warning\ncifar-lessons: no data here\nE1 failed\nChildFailedError: x\n====\n",
            "cifar",
        ),
        (
            "Traceback\n  File\nValueError: 3 is odd\nmore\nChildFailedError: \n====\n",
            "ValueError: 3",
        ),
        ("no such module\n\n", "no such module"),
        ("", "nothing was said"),
    ],
)
def test_processes_that_fail_are_told_with_their_own_words(monkeypatch, err, words):
    done = module.subprocess.CompletedProcess([], 1, "", err)
    monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: done)
    with pytest.raises(UserError) as error:
        torchrun(["-m", "a.module"], processes=2)
    said = str(error.value)
    assert said.startswith(f"torchrun -m a.module ended with status 1 in 2 processes: {words}")
    assert "\n" not in said
