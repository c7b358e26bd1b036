"""Mirrors cifar_lessons/folds/work.py: folds are runs; they are shared, resumed and never mixed."""

import dataclasses
import threading
import time

import filelock
import numpy as np
import pytest

from cifar_lessons import runs
from cifar_lessons.errors import UserError
from cifar_lessons.fields import override
from cifar_lessons.folds.work import LOCK, Place, parts_of, work


@pytest.fixture
def place(runtime, load) -> Place:
    return Place(runtime=runtime, load=load, progress=False, poll=0.01)


def logits(folder):
    return runs.read_run(folder).logits("val").logits


def test_folds_are_runs_that_hold_every_image_out_once(recipe, place, tmp_path):
    said: list[str] = []
    todo = parts_of(recipe, folds=3, seeds=(0,), out=tmp_path)
    assert [part.folder.name for part in todo] == ["seed0-fold0", "seed0-fold1", "seed0-fold2"]
    assert work(todo, dataclasses.replace(place, say=said.append, command="typed"))
    index = []
    for fold, part in enumerate(todo):
        assert sorted(p.name for p in part.folder.iterdir()) == [
            *("history.csv", "run.json", "test_logits.npz", "val_logits.npz"),
            "weights.safetensors",
        ]
        run = runs.read_run(part.folder)
        assert (run.fold, run.seed, run.key) == (fold, 0, f"seed0-fold{fold}")
        assert run.recipe["data"]["folds"] == 3
        assert run.provenance["command"] == "typed"
        assert len(run.logits("val")) == len(run.index()) == 30
        index += run.index().tolist()
    assert sorted(index) == list(range(90))
    assert [line[:19] for line in said] == [f"tiny seed 0 fold {k}:" for k in range(3)]
    assert said[-1].endswith("(3 of 3 folds)")


def test_a_finished_fold_is_not_trained_again(recipe, place, tmp_path):
    todo = parts_of(recipe, folds=3, seeds=(0,), out=tmp_path)
    assert work(todo[1:2], place)
    before = (todo[1].folder / "run.json").stat().st_mtime_ns
    assert work(todo, place)
    assert (todo[1].folder / "run.json").stat().st_mtime_ns == before
    said: list[str] = []
    assert work(todo, dataclasses.replace(place, say=said.append))
    assert said == []


def test_one_fold_alone_and_the_same_fold_among_others_are_equal(recipe, place, tmp_path):
    alone = parts_of(recipe, folds=3, seeds=(1,), only=2, out=tmp_path / "a")
    [part] = alone
    assert part.folder.name == "seed1-fold2"
    work(alone, place)
    rest = parts_of(recipe, folds=3, seeds=(1,), out=tmp_path / "b")
    work(rest, place)
    np.testing.assert_array_equal(logits(part.folder), logits(rest[2].folder))


def test_folds_stopped_at_every_step_end_as_undisturbed_ones(recipe, place, tmp_path):
    whole = parts_of(recipe, folds=3, seeds=(0,), out=tmp_path / "whole")
    work(whole, place)
    cut = parts_of(recipe, folds=3, seeds=(0,), out=tmp_path / "cut")
    said: list[str] = []
    sittings = 1
    while not work(cut, dataclasses.replace(place, deadline=time.monotonic(), say=said.append)):
        sittings += 1
    assert sittings >= 3 * 6  # two epochs of three steps, three folds
    assert "stopped and saved: the same command continues" in said
    for one, two in zip(whole, cut, strict=True):
        for name in ("weights.safetensors", "test_logits.npz", "val_logits.npz"):
            assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()
        assert not (two.folder / "checkpoint.pt").exists()


def test_a_deadline_between_two_folds_is_told(recipe, place, tmp_path):
    """The first fold ends on its last step, so training itself was not stopped."""
    short = override(override(recipe, "epochs=1"), "batch_size=60")  # a step a fold
    todo = parts_of(short, folds=3, seeds=(0,), out=tmp_path)
    said: list[str] = []
    assert not work(
        todo, dataclasses.replace(place, deadline=time.monotonic() - 1, say=said.append)
    )
    assert said[-1] == "stopped by the deadline with 2 folds to go: the same command continues"
    assert [part.finished for part in todo] == [True, False, False]


def test_another_seed_is_another_partition_and_other_weights(recipe, place, tmp_path):
    todo = parts_of(recipe, folds=3, seeds=(0, 1), only=0, out=tmp_path)
    work(todo, place)
    first, second = (runs.read_run(part.folder) for part in todo)
    assert first.index().tolist() != second.index().tolist()
    assert (first.logits("test").logits != second.logits("test").logits).any()


# --- shared ---------------------------------------------------------------------------------------


def test_a_fold_that_is_taken_is_left_and_the_others_are_trained(recipe, place, tmp_path):
    todo = parts_of(recipe, folds=3, seeds=(0,), out=tmp_path)
    todo[0].folder.mkdir(parents=True)
    said: list[str] = []
    other = filelock.FileLock(todo[0].folder / LOCK)
    with other:
        worker = threading.Thread(
            target=work, args=(todo, dataclasses.replace(place, say=said.append))
        )
        worker.start()
        end = time.monotonic() + 60
        while "waiting for 1 folds that other processes train" not in said:
            assert time.monotonic() < end, said
            time.sleep(0.01)
        assert [part.finished for part in todo] == [False, True, True]
    worker.join(60)  # the other process died without an end: its fold is free
    assert all(part.finished for part in todo)
    assert said[-1].startswith("tiny seed 0 fold 0: ")


def test_two_at_once_train_each_fold_once(recipe, place, tmp_path):
    todo = parts_of(recipe, folds=3, seeds=(0, 1), out=tmp_path)
    said: list[str] = []
    loads: list[str] = []

    def load(part):
        loads.append(f"{part.data.split_seed}-{part.data.fold}")
        return place.load(part)

    mine = dataclasses.replace(place, say=said.append, load=load)
    workers = [threading.Thread(target=work, args=(todo, mine)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert set(loads) == {"0-0", "0-1", "0-2", "1-0", "1-1", "1-2"}
    assert all(part.finished for part in todo)
    assert len([line for line in said if "held-out accuracy" in line]) == 6


# --- mistakes -------------------------------------------------------------------------------------


def test_a_finished_fold_of_other_settings_is_told_before_anything_is_trained(
    recipe, place, tmp_path
):
    work(parts_of(recipe, folds=3, seeds=(0,), only=2, out=tmp_path), place)
    other = override(recipe, "optim.peak_lr=0.5")
    with pytest.raises(UserError, match=r"seed0-fold2 holds a finished run with other settings"):
        work(parts_of(other, folds=3, seeds=(0,), out=tmp_path), place)
    with pytest.raises(UserError, match=r"data.folds: recorded 3, now 4"):
        work(parts_of(recipe, folds=4, seeds=(0,), out=tmp_path), place)
    assert not (tmp_path / "tiny" / "seed0-fold0").exists()


def test_a_checkpoint_of_another_partition_is_refused(recipe, place, tmp_path):
    late = dataclasses.replace(place, deadline=time.monotonic() - 1)
    [part] = parts_of(recipe, folds=3, seeds=(0,), only=0, out=tmp_path)
    assert not work([part], late)
    with pytest.raises(UserError, match=r"is of another run \(data.folds: saved 3, now 2\)"):
        work(parts_of(recipe, folds=2, seeds=(0,), only=0, out=tmp_path), place)
    assert work([part], place)


def test_a_folder_that_cannot_be_written_is_told(recipe, place, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*seed0-fold0: .*folder with --out"):
        work(parts_of(recipe, folds=3, seeds=(0,), out=tmp_path / "file"), place)


def test_a_lock_that_cannot_be_taken_is_told(recipe, place, tmp_path):
    todo = parts_of(recipe, folds=3, seeds=(0,), out=tmp_path)
    (todo[0].folder / LOCK).mkdir(parents=True)
    with pytest.raises(
        UserError, match=r"cannot write .*seed0-fold0.*\.taken: .*; choose another folder"
    ):
        work(todo, place)


def test_a_fold_that_there_is_not_is_told(recipe, tmp_path):
    with pytest.raises(UserError, match=r"data.fold must be in \[0, 2\], got 3"):
        parts_of(recipe, folds=3, seeds=(0,), only=3, out=tmp_path)
