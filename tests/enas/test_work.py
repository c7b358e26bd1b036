"""Mirrors cifar_lessons/enas/work.py: a finished search is a run of kind `search`."""

import json
import time

import pytest
import torch

from cifar_lessons import runs
from cifar_lessons.enas import results
from cifar_lessons.enas.work import run
from cifar_lessons.errors import UserError
from cifar_lessons.fields import override


def test_a_finished_search_is_written_whole_and_not_again(tiny, data, cpu, tmp_path, capsys):
    out = tmp_path / "enas_search" / "seed0"
    options = {"seed": 0, "out": out, "data": data, "runtime": cpu}
    assert run(tiny(), command="cifar-lessons search", **options) == out
    found = results.read(runs.read_run(out))
    assert found.run.kind == "search"
    assert found.run.final == {"shared_val_accuracy": found.scores[str(found.best)]}
    assert [row["epoch"] for row in found.run.history] == [1, 2]
    assert len(found.operations) == 3
    assert all(abs(sum(row) - 1) < 0.001 for row in found.operations)
    assert not (out / "checkpoint.pt").exists()
    assert found.run.provenance["git_commits"] is not None
    before = (out / "run.json").read_bytes()
    capsys.readouterr()
    assert run(tiny(), **options) == out
    assert "already finished" in capsys.readouterr().out
    assert (out / "run.json").read_bytes() == before
    with pytest.raises(UserError, match="holds a finished run with other settings"):
        run(tiny(tanh_constant=2.5), **options)


def test_a_stopped_search_leaves_a_checkpoint_and_goes_on(tiny, data, cpu, tmp_path, capsys):
    out = tmp_path / "seed0"
    options = {"seed": 0, "out": out, "data": data, "runtime": cpu}
    assert run(tiny(), deadline=time.monotonic(), **options) is None
    assert "stopped by the deadline and saved" in capsys.readouterr().out
    changed = override(tiny(), "objective.skip_target=0.3")
    with pytest.raises(UserError, match=r"objective.skip_target: saved 0.4, now 0.3"):
        run(changed, **options)
    assert run(tiny(), **options) == out
    assert "resuming at epoch 1, step 1" in capsys.readouterr().out


def test_another_space_is_another_search(tiny, data, cpu, tmp_path):
    out = tmp_path / "seed0"
    options = {"seed": 0, "out": out, "data": data, "runtime": cpu, "progress": False}
    run(tiny(), deadline=time.monotonic(), **options)
    with pytest.raises(UserError, match=r"objective.layers: saved 3, now 4\); delete it"):
        run(tiny(layers=4), **options)


def test_the_controls_are_scored_in_a_search_of_their_depth(tiny, data, cpu, tmp_path):
    from cifar_lessons.enas.arms import CONTROLS

    torch.manual_seed(0)
    out = run(
        tiny(layers=6, updates_per_epoch=1, candidates=1),
        seed=0, out=tmp_path / "six", data=data, runtime=cpu, progress=False,
    )  # fmt: skip
    scores = json.loads((out / "run.json").read_text())["search"]["scores"]
    assert {str(a) for a, _ in CONTROLS.values()} <= set(scores)
