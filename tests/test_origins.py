"""Mirrors cifar_lessons/origins.py: a result names the code, the machine and the data."""

import json
import subprocess
from typing import Any

import pytest

from cifar_lessons import origins


def provenance() -> dict[str, Any]:
    return origins.provenance(
        command="typed", device="a CPU", precision="fp32", threads=1, cores=2, data_digest="d"
    )


def git_says(monkeypatch, **answers: str | None) -> None:
    """Answer git's commands by their first word."""
    monkeypatch.setattr(origins, "git", lambda verb, *_: answers[verb.replace("-", "_")])


@pytest.mark.parametrize(
    ("answers", "commit", "dirty"),
    [
        ({"ls_files": "__init__.py", "status": "", "rev_parse": "abc"}, "abc", False),
        ({"ls_files": "__init__.py", "status": " M fit.py", "rev_parse": "abc"}, "abc", True),
        # No repository, or no git.
        ({"ls_files": None, "status": None, "rev_parse": None}, "", True),
        # Installed below a repository of something else, such as in its .venv.
        ({"ls_files": "", "status": "", "rev_parse": "another project's"}, "", True),
    ],
)
def test_the_commit_is_that_of_the_package(monkeypatch, answers, commit, dirty):
    git_says(monkeypatch, **answers)
    found = provenance()
    assert (found["git_commit"], found["git_dirty"]) == (commit, dirty)


def test_provenance_is_taken_as_json_and_names_what_moves_a_result():
    found = json.loads(json.dumps(provenance()))
    assert {"python", "platform", "packages", "started_at", "load_average"} <= set(found)
    assert set(found["packages"]) == {"cifar-lessons", "numpy", "torch", "torchvision"}
    assert found["started_at"].endswith("+00:00")
    assert (found["command"], found["device"], found["threads"]) == ("typed", "a CPU", 1)


def test_git_that_hangs_or_is_not_there_is_no_error(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("git")

    def hanging(*_, **__):
        raise subprocess.TimeoutExpired("git", 20)

    for failing in (missing, hanging):
        monkeypatch.setattr(subprocess, "run", failing)
        assert provenance()["git_dirty"] is True
