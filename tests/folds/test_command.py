"""Mirrors cifar_lessons/folds/command.py, typed as a person types it."""

import dataclasses
import os
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_line import Type

from cifar_lessons import recipes, recording, runs
from cifar_lessons.errors import UserError
from cifar_lessons.folds import study
from cifar_lessons.folds.command import count_of
from cifar_lessons.folds.work import LOCK

TINY = (
    *("--set=model.options.widths=[4,4,4,4]", "--set=epochs=1", "--set=batch_size=20"),
    *("--threads=1", "--precision=fp32"),
)


@pytest.fixture
def tiny(typed, tiny_official) -> Type:
    """Return a command about a tiny network on made-up data, a fold in a fraction of a second."""
    return lambda command, *more: typed(command, *TINY, "--data", str(tiny_official.root), *more)


# --- train --folds --------------------------------------------------------------------------------


def test_train_keeps_each_fold_as_a_run(tiny):
    status, out, err = tiny("train", "deep_cnn_pool4", "--folds=3", "--seed=2")
    assert (status, err) == (0, "")
    head, *rest, summary = out.splitlines()
    assert head == ("deep_cnn_pool4 seed 2 on cpu, fp32 -> outputs/deep_cnn_pool4/seed2-fold…")
    assert rest[0] == "deep_cnn_pool4 seed 2 fold 0 -> outputs/deep_cnn_pool4/seed2-fold0"
    assert len([line for line in rest if line.startswith("epoch 1/1")]) == 3
    assert summary.startswith("3 folds: held-out accuracy ")
    found = [runs.read_run(Path(f"outputs/deep_cnn_pool4/seed2-fold{k}")) for k in range(3)]
    assert sorted(np.concatenate([run.index() for run in found]).tolist()) == list(range(120))
    assert found[0].provenance["command"].startswith("cifar-lessons train ")

    status, out, _ = tiny("train", "deep_cnn_pool4", "--folds=3", "--seed=2")
    assert status == 0
    assert out.splitlines()[1:] == [summary]  # nothing is left to train


def test_one_fold_alone(tiny):
    status, out, _ = tiny("train", "deep_cnn_pool4", "--folds=3", "--fold=1")
    assert status == 0
    assert [p.name for p in Path("outputs/deep_cnn_pool4").iterdir()] == ["seed0-fold1"]
    assert "3 folds:" not in out


def test_a_recipe_of_folds_is_cross_validated_without_a_word(tiny):
    assert tiny("train", "folds_base", "--fold=4")[0] == 0
    assert [p.name for p in Path("outputs/folds_base").iterdir()] == ["seed0-fold4"]
    run = runs.read_run(Path("outputs/folds_base/seed0-fold4"))
    assert (run.fold, len(run.index())) == (4, 24)


def test_a_deadline_saves_and_the_same_command_continues(tiny):
    arguments = ("train", "deep_cnn_pool4", "--folds=2", "--seconds=1e-9")
    status, out, _ = tiny(*arguments)
    assert status == 0
    assert out.splitlines()[-1].startswith("stopped by the deadline and saved: the same command")
    status, out, _ = tiny(*arguments[:-1])
    assert status == 0
    assert "resuming at epoch 1, step 1 (outputs/deep_cnn_pool4/seed0-fold0/checkpoint.pt)" in out
    assert out.splitlines()[-1].startswith("2 folds: held-out accuracy")


# --- folds ----------------------------------------------------------------------------------------


def test_repeats_from_start_to_end_and_on(tiny):
    status, out, err = tiny("folds", "folds_base", "--folds=3", "--repeats=2")
    assert (status, err) == (0, "")
    head, *lines, summary = out.splitlines()
    assert head == "folds_base: 2 repeats of 3 folds on cpu, fp32 -> outputs/folds_base"
    assert [line.partition(": held-out accuracy ")[0] for line in lines] == [
        f"folds_base seed {s} fold {f}" for s in range(2) for f in range(3)
    ]
    assert lines[-1].endswith("(6 of 6 folds)")
    assert summary.startswith("2 repeats of 3 folds: a single split moves by ")
    # More repeats go on, and `train` of one of them finds it finished.
    assert "(9 of 9 folds)" in tiny("folds", "folds_base", "--folds=3", "--repeats=3")[1]
    assert len(tiny("train", "folds_base", "--folds=3", "--seed=2")[1].splitlines()) == 2


def test_a_deadline_stops_repeats(tiny):
    status, out, _ = tiny("folds", "folds_base", "--repeats=2", "--seconds=1e-9")
    assert status == 0
    assert out.splitlines()[-1] == "stopped and saved: the same command continues"


def test_repeats_with_changed_settings_are_not_recorded(tiny, tmp_path):
    said = tiny("folds", "folds_base", "--record").mistake
    assert "--record needs folds_base as it is registered (batch_size: recorded 20" in said
    assert not (tmp_path / "outputs").exists()


def test_folds_as_planned_are_recorded(typed, write_folds, tmp_path):
    base = recipes.get("folds_base")
    for seed in range(8):
        write_folds(tmp_path / "outputs", base, seed=seed, right=0.8)
    values, provenance = study.gather(base, folds=5, seeds=range(8), out=tmp_path / "outputs")
    recording.record_study("folds", values, provenance=provenance)
    assert (tmp_path / "runs" / "studies" / "folds.json").exists()
    status, out, err = typed("record", "folds_base")
    assert (status, err) == (0, "")
    assert [line.split(":")[0] for line in out.splitlines()] == [
        f"recorded {tmp_path}/runs/folds_base/seed0-fold{k}" for k in range(5)
    ]
    listed = next(line for line in typed("list")[1].splitlines() if line.startswith("folds_base "))
    assert listed.split()[1] == "●●●●●"
    assert typed("evaluate", "folds_base")[1].startswith("folds_base seed0-fold0, from stored")


def test_all_folds_are_recorded_or_none(typed, write_folds, tmp_path):
    folders = write_folds(tmp_path / "outputs", recipes.get("folds_base"))
    (folders[3] / "run.json").unlink()
    said = typed("record", "folds_base", "--folds", "5").mistake
    assert "no finished run in outputs/folds_base/seed0-fold3; run `cifar-lessons train" in said
    assert said.endswith("train folds_base --folds 5 --seed 0` first")
    assert not (tmp_path / "runs").exists()


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train simple_cnn --folds 1", "--folds must be in [2, 50], got 1: with one, nothing is"),
        ("train simple_cnn --folds 0", "--folds must be in [2, 50], got 0; try --folds 5"),
        ("train simple_cnn --folds 51", "--folds must be in [2, 50], got 51; try --folds 5"),
        ("train simple_cnn --folds five", "Error parsing --folds: no type matching"),
        ("train simple_cnn --fold 3", "--fold 3 needs to know of how many; try --folds 5 --fold 3"),
        (
            "train simple_cnn --folds 5 --fold 5",
            "--fold must be in [0, 4], the 5 folds, got 5; try",
        ),
        ("train simple_cnn --folds 5 --fold -1", "--fold must be in [0, 4], the 5 folds, got -1"),
        (
            "train folds_base --set data.fold=3",
            "data.fold is chosen by --fold, got --set data.fold",
        ),
        (
            "train folds_base --set data.split_seed=3",
            "the seed of a run draws its folds, got --set",
        ),
        (
            "train folds_base --set data.folds=1",
            "data.folds must be in [2, 50], or 0 for none, got",
        ),
        (
            "train resnet18_w16_plateau --folds 5",
            "optim.schedule.name must be one that does not watch the held-out images",
        ),
        (
            "train mobilenet_w05_kd --folds 5",
            "mobilenet_w05_kd learns from a teacher, which has seen the images that folds hold",
        ),
        ("folds", "Missing from cifar-lessons folds: RECIPE"),
        ("folds fold_base", "no recipe 'fold_base': did you mean 'folds_base'"),
        ("folds folds_base --folds 1", "--folds must be in [2, 50], got 1"),
        ("folds folds_base --repeats 1", "--repeats must be in [2, 1000], got 1; try --repeats 8"),
        ("folds folds_base --seconds 0", "--seconds must be > 0, got 0; try --seconds 600"),
        ("folds folds_base --seconds nan", "--seconds must be > 0, got nan"),
        ("folds folds_base --threads 0", "--threads must be in [1, 256], got 0"),
        ("folds folds_base --set epochs", "--set needs FIELD=VALUE"),
        ("folds folds_base --device toaster", "must be auto, cpu, cuda or mps, got 'toaster'"),
        ("folds folds_base --repeats 3 --record", "needs the 8 repeats of 5 folds that were fixed"),
        ("folds folds_base", "no cifar10 in "),
        ("record folds_base", "no finished run in outputs/folds_base/seed0-fold0; run `cifar-less"),
        (
            "record folds_base --seed 1",
            "seed 1 is not among the planned ones of folds_base (0 to 0",
        ),
        ("record folds_base --folds 1", "--folds must be in [2, 50], got 1"),
    ],
)
def test_a_mistake_gets_one_line(typed, tmp_path, line, said):
    assert said in typed(*shlex.split(line)).mistake
    assert not (tmp_path / "outputs").exists()


def test_more_folds_than_images_of_a_class(tiny):
    said = tiny("train", "deep_cnn_pool4", "--folds=30").mistake
    assert said == (
        "30 folds of 120 images need 30 images of the smallest class, and there are 12; try 5 folds"
    )


def test_a_finished_fold_of_another_partition_is_kept(tiny):
    tiny("train", "deep_cnn_pool4", "--folds=3", "--fold=0")
    said = tiny("train", "deep_cnn_pool4", "--folds=2").mistake
    assert "seed0-fold0 holds a finished run with other settings (data.folds: recorded 3" in said
    assert "choose another folder with --out" in said


def test_the_number_of_folds_is_what_was_typed_or_the_recipe_s_own():
    plain, crossed = recipes.get("simple_cnn"), recipes.get("folds_base")
    assert count_of(plain, None, None) == 0
    assert count_of(plain, 4, None) == count_of(plain, 4, 3) == 4
    assert count_of(crossed, None, 2) == 5
    assert count_of(crossed, 3, None) == 3
    third = dataclasses.replace(crossed, data=dataclasses.replace(crossed.data, fold=2))
    with pytest.raises(UserError, match="try --folds 5 --fold 2"):
        count_of(third, None, None)


# --- real processes -------------------------------------------------------------------------------


def test_two_processes_share_the_repeats(made_up_cli, tmp_path):
    arguments = ("folds", "folds_base", *TINY, "--folds=3", "--repeats=2", "--out", str(tmp_path))
    both = [
        subprocess.Popen(
            made_up_cli(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    lines = [line for out, _ in told for line in out.splitlines() if "held-out accuracy" in line]
    assert sorted(line.partition(":")[0] for line in lines) == [
        f"folds_base seed {s} fold {f}" for s in range(2) for f in range(3)
    ]
    summaries = {out.splitlines()[-1] for out, _ in told}
    assert len(summaries) == 1


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a thing of POSIX")
def test_a_killed_process_leaves_its_fold_to_the_next(made_up_cli, tmp_path):
    arguments = (
        *("train", "deep_cnn_pool4", *TINY, "--set=epochs=10000", "--folds=2"),
        *("--out", str(tmp_path)),
    )
    process = subprocess.Popen(
        made_up_cli(*arguments),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            process.kill()
            break
    process.stdout.close()
    process.wait(60)
    folder = tmp_path / "deep_cnn_pool4" / "seed0-fold0"
    assert (folder / LOCK).exists()  # the file is there, and nobody holds it
    again = subprocess.run(
        made_up_cli(*arguments, "--seconds=0.01"), capture_output=True, text=True, timeout=600
    )
    assert again.returncode == 0, again.stderr
    assert "resuming at epoch " in again.stdout
    assert "stopped by the deadline and saved" in again.stdout
