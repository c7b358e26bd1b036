"""Mirrors cifar_lessons/folds/study.py: what is recorded was planned, clean and whole."""

import contextlib
import json
from dataclasses import replace

import numpy as np
import pytest

from cifar_lessons import origins, recipes, recording, runs
from cifar_lessons.errors import UserError
from cifar_lessons.fields import override
from cifar_lessons.folds import study

SEEDS = range(8)


@pytest.fixture
def base():
    return recipes.get("folds_base")


@pytest.fixture
def outputs(write_folds, base, tmp_path):
    for seed in SEEDS:
        write_folds(tmp_path, base, seed=seed)
    return tmp_path


def test_finished_repeats_become_a_study_and_come_back(outputs, base):
    values, provenance = study.gather(base, folds=5, seeds=SEEDS, out=outputs)
    path = recording.record_study("folds", values, provenance=provenance, root=outputs / "runs")
    assert path.stat().st_size < 10_000  # no logits
    found = study.recorded(root=outputs / "runs")
    assert found is not None
    assert (found.seeds, found.folds) == (tuple(SEEDS), 5)
    assert (found.train_images, found.held_out_images) == (160, 40)
    assert found.recipe["name"] == "folds_base"
    assert found.held_out.shape == found.test.shape == found.seconds.shape == (8, 5)
    assert (found.seconds == 60).all()
    run = runs.read_run(outputs / "folds_base" / "seed3-fold2")
    assert found.held_out[3, 2] == run.final["val_accuracy"]
    assert found.test[3, 2] == run.final["test_accuracy"]
    assert found.provenance["train_seconds"] == 40 * 60
    assert found.provenance["git_commits"] == ["a" * 40]
    assert found.provenance["devices"] == ["Made-up CPU"]


def test_what_is_not_recorded_is_none(tmp_path):
    assert study.recorded(root=tmp_path) is None
    assert (study.study_name("folds_base"), study.study_name("x")) == ("folds", "folds_x")
    assert runs.study_command("folds") == "cifar-lessons folds folds_base --repeats 8 --record"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"git_dirty": True}, "seed2-fold0 was trained from uncommitted code; commit it, choose"),
        ({"data_digest": "synthetic"}, "seed2-fold0 was trained on synthetic data, never"),
        ({"facts": {"official_order": False}}, "in another order than the official one"),
    ],
)
def test_a_fold_that_may_not_be_recorded_spoils_the_study(outputs, write_folds, base, change, said):
    write_folds(outputs, base, seed=2, **change)
    with pytest.raises(UserError, match=said):
        study.gather(base, folds=5, seeds=SEEDS, out=outputs)


def test_a_fold_that_is_missing_or_of_other_settings_is_told(outputs, base):
    path = outputs / "folds_base" / "seed4-fold1" / "run.json"
    content = json.loads(path.read_text())
    content["recipe"]["epochs"] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"seed4-fold1 was made with other settings \(epochs: "):
        study.gather(base, folds=5, seeds=SEEDS, out=outputs)
    path.unlink()
    with pytest.raises(runs.MissingRun, match=r"no run in .*seed4-fold1"):
        study.gather(base, folds=5, seeds=SEEDS, out=outputs)


def test_only_the_registered_recipe_and_the_plan_are_recorded(outputs, base):
    with pytest.raises(UserError, match=r"needs folds_base as it is registered \(epochs: "):
        study.gather(override(base, "epochs=3"), folds=5, seeds=SEEDS, out=outputs)
    with pytest.raises(UserError, match=r"needs the 8 repeats of 5 folds .* got 7 of 5; try --fo"):
        study.gather(base, folds=5, seeds=range(7), out=outputs)
    with pytest.raises(UserError, match="got 8 of 4"):
        study.require_recordable(base, folds=4, repeats=8)


@pytest.mark.parametrize("dirty", [True, False])
def test_code_that_is_not_committed_is_told_before_anything_is_trained(base, monkeypatch, dirty):
    monkeypatch.setattr(origins, "is_dirty", lambda: dirty)
    expected = pytest.raises(UserError, match="--record needs committed code")
    with expected if dirty else contextlib.nullcontext():
        study.require_recordable(base, folds=5, repeats=8)


def test_what_moves_no_weight_may_differ(outputs, base):
    told = replace(base, about="better said")
    values, _ = study.gather(told, folds=5, seeds=SEEDS, out=outputs)
    assert np.shape(values["held_out"]) == (8, 5)
