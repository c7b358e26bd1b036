"""Mirrors cifar_lessons/sitting.py: one writer a folder, and nothing finished is done again."""

import dataclasses
import json

import pytest
import torch

from cifar_lessons import runs
from cifar_lessons.config import ModelConfig, Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.recording import write_run
from cifar_lessons.runtime import Runtime
from cifar_lessons.sitting import require_this_run, sit_down
from cifar_lessons.training.fit import FitResult

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
RECIPE = Recipe(name="tiny", model=ModelConfig(name="resnet18", options={"width": 4}))


def sit(out, recipe=RECIPE, **changes):
    given = {"seed": 0, "data_digest": "abc", "runtime": FP32, "command": "typed"} | changes
    return sit_down(recipe, out=out, **given)


def finish(out, provenance):
    write_run(
        out, recipe=RECIPE, seed=0, provenance=provenance, history=[{"epoch": 1}], logits={},
        extra={},
    )  # fmt: skip


@pytest.fixture
def finished(tmp_path):
    out = tmp_path / "run"
    with sit(out) as sitting:
        sitting.checkpoint.write_bytes(b"half way")
        finish(out, sitting.provenance)
    return out


def test_a_finished_folder_holds_the_run_alone(finished):
    assert sorted(path.name for path in finished.iterdir()) == ["history.csv", "run.json"]
    known = runs.read_run(finished).provenance
    assert known["data_digest"] == "abc"
    assert known["command"] == "typed"
    assert known["precision"] == "fp32"
    assert known["world_size"] == 1


def test_what_is_finished_is_said_and_not_done_again(finished, capsys):
    (finished / "checkpoint.pt").write_bytes(b"of a process killed right at the end")
    with sit(finished) as sitting:
        assert sitting is None
    assert capsys.readouterr().out == f"already finished: {finished}\n"
    assert not (finished / "checkpoint.pt").exists()
    with sit(finished, progress=False) as sitting:
        assert sitting is None
    assert capsys.readouterr().out == ""


def test_a_finished_run_of_other_settings_keeps_its_checkpoint_and_is_told(finished):
    (finished / "checkpoint.pt").write_bytes(b"whose is it?")
    other = dataclasses.replace(RECIPE, epochs=RECIPE.epochs + 1)
    message = "holds a finished run with other settings"
    with pytest.raises(UserError, match=message), sit(finished, other):
        raise AssertionError("unreachable")
    with pytest.raises(UserError, match=r"seed: recorded 0, now 1"), sit(finished, seed=1):
        raise AssertionError("unreachable")
    assert (finished / "checkpoint.pt").exists()
    require_this_run(finished, RECIPE, 0)  # and the same is let through


def test_a_second_process_is_refused_and_work_that_fails_leaves_its_checkpoint(tmp_path):
    out = tmp_path / "run"

    def fail():
        with sit(out) as sitting:
            sitting.checkpoint.write_bytes(b"half way")
            with pytest.raises(UserError, match="another process is at work"), sit(out):
                raise AssertionError("unreachable")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (out / "checkpoint.pt").read_bytes() == b"half way"
    with sit(out) as again:  # free again
        assert again is not None


def test_work_that_stopped_is_said_and_notes_nothing(tmp_path, capsys):
    with sit(tmp_path / "run") as sitting:
        before = json.dumps(sitting.provenance)
        stopped = FitResult(None, stopped_by="signal", seconds=5.0, commits=["a"])
        assert not sitting.completed(stopped)
        assert json.dumps(sitting.provenance) == before
    said = "stopped by the signal and saved: the same command continues\n"
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("commits", "dirty"), [(["a", "b"], False), (["a+dirty", "b"], True), ([""], True)]
)
def test_one_sitting_of_uncommitted_code_marks_the_run(tmp_path, commits, dirty):
    with sit(tmp_path / "run") as sitting:
        done = FitResult(None, finished=True, seconds=5.04, cpu_seconds=9.99, commits=commits)
        assert sitting.completed(done)
        known = sitting.provenance
    assert (known["git_commits"], known["git_dirty"]) == (commits, dirty)
    assert (known["train_seconds"], known["cpu_seconds"]) == (5.0, 10.0)


def test_the_commit_is_marked_where_the_code_is_not_committed(tmp_path):
    with sit(tmp_path / "run") as sitting:
        sitting.provenance.update(git_commit="abc", git_dirty=True)
        assert sitting.commit == "abc+dirty"
        sitting.provenance["git_dirty"] = False
        assert sitting.commit == "abc"
