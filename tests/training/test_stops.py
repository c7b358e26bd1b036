"""Mirrors cifar_lessons/training/stops.py."""

import math
import signal

import pytest

from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.errors import AlreadyTold
from cifar_lessons.training import stops as module
from cifar_lessons.training.checkpoint import StopRequest
from cifar_lessons.training.step import LossIsNotFinite
from cifar_lessons.training.stops import Pause, Stops


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set forward."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.now)
    return Clock


def asked() -> StopRequest:
    request = StopRequest()
    request.signal = signal.SIGTERM
    return request


def alone(**changes) -> Stops:
    options = {"request": StopRequest(), "group": ALONE, "deadline": None, "save_every": 60.0}
    options |= changes
    return Stops(options.pop("request"), **options)


# --- alone: as soon as it is so, after every step -------------------------------------------------


def test_most_steps_need_no_pause(clock):
    stops = alone(deadline=1010.0)
    assert [stops.after_step(0.0) for _ in range(3)] == [None, None, None]
    assert stops.after_epoch() == Pause("")


def test_it_saves_once_in_a_while(clock):
    stops = alone()
    clock.now += 61
    assert stops.after_step(0.0) == Pause("")
    stops.saved()
    assert stops.after_step(0.0) is None


def test_a_signal_comes_before_a_deadline(clock):
    assert alone(request=asked(), deadline=999.0).after_step(0.0) == Pause("signal")
    assert alone(deadline=999.0).after_step(0.0) == Pause("deadline")
    assert alone(deadline=999.0).after_epoch() == Pause("deadline")


# --- several: now and then, and all alike ---------------------------------------------------------


class Rehearsed(Group):
    """A rank of two; the other one says `other`, or nothing of interest."""

    other = (0.0, 0.0, 0.0, 0.0, 0.0)
    exchanges = 0

    def total(self, numbers):
        type(self).exchanges += 1
        return [a + b for a, b in zip(numbers, self.other, strict=True)]


def pair(rank: int, other: tuple[float, ...] = Rehearsed.other) -> Group:
    kind = type("Pair", (Rehearsed,), {"other": other, "exchanges": 0})
    return kind(rank=rank, size=2)


def test_ranks_meet_about_twice_a_second_whatever_a_step_takes(clock):
    for seconds, meetings in ((0.001, 20), (0.1, 20), (2.0, 5)):
        group = pair(0)
        stops = alone(group=group)
        steps = 0
        start = clock.now
        while clock.now < start + 10 - 1e-6:
            clock.now += seconds
            steps += 1
            stops.after_step(0.0)
        assert type(group).exchanges == pytest.approx(meetings, abs=2), seconds


def test_a_checkpoint_after_every_step_needs_a_meeting_after_every_step(clock):
    group = pair(0)
    stops = alone(group=group, save_every=0.0)
    for _ in range(10):
        clock.now += 0.01
        assert stops.after_step(0.0) == Pause("")
        stops.saved()
    assert type(group).exchanges == 10


def test_what_one_rank_was_asked_all_do():
    assert alone(group=pair(0, (1.0, 0.0, 0.0, 0.0, 0.0))).after_step(0.0) == Pause("signal")
    assert alone(group=pair(1, (0.0, 0.0, 0.0, 0.0, 9.0)), request=asked()).after_epoch() == Pause(
        "signal"
    )


def test_the_clock_is_that_of_rank_0(clock):
    late = alone(group=pair(1, (0.0, 0.0, 1.0, 0.0, 9.0)))
    assert late.after_step(0.0) == Pause("deadline")
    # Its own clock says nothing: the deadline has passed, and a checkpoint is due.
    clock.now = 2000.0
    other = alone(group=pair(1, (0.0, 0.0, 0.0, 0.0, 9.0)), deadline=1500.0, save_every=0.0)
    assert other.after_step(0.0) is None
    assert alone(group=pair(1, (0.0, 0.0, 0.0, 1.0, 9.0))).after_step(0.0) == Pause("")


@pytest.mark.parametrize(("rank", "error"), [(0, LossIsNotFinite), (1, AlreadyTold)])
def test_a_loss_that_is_not_finite_on_one_rank_stops_all(rank, error):
    with pytest.raises(error, match="the loss became nan: try a lower rate"):
        alone(group=pair(rank, (0.0, math.nan, 0.0, 0.0, 0.0))).after_step(1.0)
