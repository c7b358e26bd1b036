"""Mirrors cifar_lessons/speed/conditions.py, with a clock and a counter of CPU time made up."""

import pytest
import torch

from cifar_lessons.runtime import Runtime
from cifar_lessons.speed import conditions
from cifar_lessons.speed.conditions import Conditions

CPU = Runtime(device=torch.device("cpu"), precision="bf16")


class Clock:
    now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(conditions, "time", clock)
    return clock


def measured(clock, monkeypatch, elsewhere: list[float | None]) -> tuple[dict, float]:
    """Ten seconds of work, with the CPU seconds of others as they are asked for."""
    answers = iter(elsewhere)
    monkeypatch.setattr(conditions, "cpu_seconds_elsewhere", lambda: next(answers))
    loads = iter([[0.1], [2.0]])
    monkeypatch.setattr(conditions, "load_average", lambda: next(loads))
    watch = Conditions()
    watch.start(CPU, command="cifar-lessons bench", data_digest="synthetic")
    clock.now += 10
    return watch.finish()


def test_the_load_before_is_that_before_anything_was_done(clock, monkeypatch):
    facts, seconds = measured(clock, monkeypatch, [0.0, 5.0, 8.0])
    assert seconds == 10
    assert (facts["load_average"], facts["load_average_after"]) == ([0.1], [2.0])
    assert facts["cores_busy_elsewhere"] == 0.3  # since the start, not since the object was made
    assert facts["command"] == "cifar-lessons bench"
    assert facts["data_digest"] == "synthetic"
    assert (facts["precision"], facts["threads"]) == ("bf16", torch.get_num_threads())


def test_a_tick_backwards_counts_as_nothing(clock, monkeypatch):
    assert measured(clock, monkeypatch, [0.0, 5.0, 4.99])[0]["cores_busy_elsewhere"] == 0


def test_what_cannot_be_known_is_not_made_up(clock, monkeypatch):
    assert measured(clock, monkeypatch, [None, None, None])[0]["cores_busy_elsewhere"] is None
