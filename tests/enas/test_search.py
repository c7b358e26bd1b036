"""Mirrors cifar_lessons/enas/search.py: it learns, it resumes bit for bit, it keeps off test."""

import dataclasses
import os
import signal
import time

import pytest
import torch

from cifar_lessons import recipes
from cifar_lessons.enas.search import search
from cifar_lessons.enas.shared import new_search
from cifar_lessons.enas.space import parse
from cifar_lessons.errors import UserError


class Stop(Exception):
    """Raised in the middle, as a crash would."""


def same(a, b) -> None:
    """Assert that two finished searches are equal bit for bit."""
    for one, two in ((a.network, b.network), (a.controller, b.controller)):
        if isinstance(one, torch.nn.Module):
            for name, value in one.state_dict().items():
                assert torch.equal(value, two.state_dict()[name]), name
    assert a.trace == b.trace
    assert a.scores == b.scores
    assert a.best == b.best


@pytest.fixture(scope="module")
def undisturbed(tiny, data, cpu):
    return search(tiny(), data, seed=0, runtime=cpu, progress=False)


@pytest.mark.parametrize("at", [1, 3])
def test_a_search_that_crashed_and_went_on_equals_an_undisturbed_one(
    tiny, data, cpu, tmp_path, undisturbed, at
):
    file = tmp_path / "checkpoint.pt"

    def crash(row) -> None:
        if row["update"] == at:
            raise Stop

    options = {"seed": 0, "runtime": cpu, "checkpoint": file, "progress": False}
    with pytest.raises(Stop):
        search(tiny(), data, save_every=0.0, on_update=crash, **options)
    same(search(tiny(), data, **options), undisturbed)


def test_sigterm_saves_and_the_next_call_goes_on(tiny, data, cpu, tmp_path, undisturbed):
    file = tmp_path / "checkpoint.pt"

    def ask(row) -> None:
        if row["update"] == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    options = {"seed": 0, "runtime": cpu, "checkpoint": file, "progress": False}
    first = search(tiny(), data, on_update=ask, **options)
    assert (first.finished, first.stopped_by) == (False, "signal")
    assert len(first.trace) == 2
    same(search(tiny(), data, **options), undisturbed)


def test_a_deadline_stops_after_every_step_and_the_scores_too(
    tiny, data, cpu, tmp_path, undisturbed
):
    file = tmp_path / "checkpoint.pt"
    sittings = 0
    while True:
        found = search(
            tiny(), data, seed=0, runtime=cpu, checkpoint=file, deadline=time.monotonic(),
            progress=False,
        )  # fmt: skip
        if found.finished:
            break
        assert found.stopped_by == "deadline"
        sittings += 1
    assert sittings > 8  # one a step, and then some candidates
    same(found, undisturbed)


def test_the_best_candidate_wins_and_controls_only_watch(tiny, data, cpu):
    control = parse("ap/ap/ap")
    found = search(tiny(), data, seed=0, runtime=cpu, also=[control], progress=False)
    assert found.scores[found.best] == max(found.scores[c] for c in found.candidates)
    assert str(control) in found.scores
    assert str(control) not in found.candidates
    assert found.finished


def test_test_images_are_never_seen(tiny, data, cpu, undisturbed):
    without = dataclasses.replace(data, test=data.test[:0])
    same(search(tiny(), without, seed=0, runtime=cpu, progress=False), undisturbed)


def test_the_history_has_a_row_an_epoch_with_the_means_of_its_updates(undisturbed):
    assert [row["epoch"] for row in undisturbed.history] == [1, 2]
    assert [row["epoch"] for row in undisturbed.trace] == [1, 1, 2, 2]
    mean = sum(row["entropy"] for row in undisturbed.trace[2:]) / 2
    assert undisturbed.history[1]["entropy"] == pytest.approx(mean)
    assert {"train_loss", "train_accuracy", "reward", "p_c3", "skip_share"} <= set(
        undisturbed.history[0]
    )


def test_a_die_trains_the_same_weights_and_learns_nothing(tiny, data, cpu):
    found = search(tiny("uniform"), data, seed=0, runtime=cpu, progress=False)
    assert len({row["entropy"] for row in found.trace}) == 1
    assert found.finished
    assert not isinstance(found.controller, torch.nn.Module)
    first, _ = new_search(tiny("uniform"), seed=0, num_classes=10, runtime=cpu)
    moved = [
        not torch.equal(a, b)
        for a, b in zip(first.parameters(), found.network.parameters(), strict=True)
    ]
    assert all(moved[:3])  # the stem


def test_the_rate_follows_the_schedule(tiny, data, cpu):
    recipe = dataclasses.replace(tiny(), epochs=1)
    found = search(recipe, data, seed=0, runtime=cpu, progress=False)
    assert 0.0005 < found.history[0]["lr"] < 0.05


def test_a_search_resumed_with_other_settings_is_told(tiny, data, cpu, tmp_path):
    file = tmp_path / "checkpoint.pt"
    options = {"seed": 0, "runtime": cpu, "checkpoint": file, "progress": False}
    search(tiny(), data, identity={"objective.layers": 3}, **options)
    with pytest.raises(UserError, match=r"of another run \(objective.layers: saved 3, now 6\)"):
        search(tiny(), data, identity={"objective.layers": 6}, **options)


def test_a_checkpoint_of_another_space_does_not_fit(tiny, data, cpu, tmp_path):
    file = tmp_path / "checkpoint.pt"
    options = {"seed": 0, "runtime": cpu, "checkpoint": file, "progress": False}
    search(tiny(), data, **options)
    with pytest.raises(UserError, match=r"does not fit today's code .* delete it") as error:
        search(tiny(layers=4), data, **options)
    assert "\n" not in str(error.value)


def test_what_is_no_search_and_what_has_nothing_held_out_is_told(tiny, data, cpu):
    with pytest.raises(UserError, match="simple_cnn trains a network, it does not search"):
        search(recipes.get("simple_cnn"), data, seed=0, runtime=cpu)
    empty = dataclasses.replace(data, val=data.val[:0])
    with pytest.raises(UserError, match=r"needs validation images, got data\.val_size 0"):
        search(tiny(), empty, seed=0, runtime=cpu)


def test_it_says_an_epoch_in_a_line(tiny, data, cpu, capsys):
    search(dataclasses.replace(tiny(), epochs=1), data, seed=0, runtime=cpu)
    out = capsys.readouterr().out
    assert out.startswith("epoch 1/1  train loss ")
    assert "entropy" in out
