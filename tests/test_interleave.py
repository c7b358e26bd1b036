"""Mirrors cifar_lessons/interleave.py, with a clock that moves only when a step says so."""

import itertools
import os

import pytest

from cifar_lessons import interleave
from cifar_lessons.interleave import Contender, cpu_seconds_elsewhere, take_turns


class Clock:
    """Stands in for the module `time`."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(interleave, "time", clock)
    return clock


class Loop:
    """A loop of known speed, which remembers what was done with it."""

    def __init__(self, clock: Clock, *, costs=(1.0,), wait: float = 0.0):
        self.clock, self.costs, self.wait = clock, iter([*costs[:-1]]), wait
        self.usual, self.taken, self.steps, self.closed = costs[-1], 0, 0, False

    def batches(self):
        try:
            for self.taken in itertools.count(1):
                yield self.taken
        finally:
            self.closed = True

    def step(self, _batch: int) -> int:
        self.steps += 1
        self.clock.now += next(self.costs, self.usual)
        return 10

    def synchronize(self) -> None:
        self.clock.now += self.wait

    def contender(self, key: str = "a", queued: int = 0) -> Contender:
        return Contender(
            key=key,
            batches=self.batches(),
            step=self.step,
            synchronize=self.synchronize,
            queued=queued,
        )


def test_a_rate_is_images_by_seconds_of_whole_steps(clock):
    assert Loop(clock, costs=[0.25]).contender().block(2.0) == 10 / 0.25


def test_the_lead_in_is_not_timed(clock):
    assert Loop(clock, costs=[100.0, 0.5]).contender().block(2.0) == 10 / 0.5


def test_the_lead_in_lasts_its_seconds_or_the_block_if_that_is_shorter(clock, monkeypatch):
    monkeypatch.setattr(interleave, "LEAD_IN", 0.5)
    loop = Loop(clock, costs=[0.125])
    loop.contender().block(1.0)
    assert loop.steps == 4 + 8
    loop = Loop(clock, costs=[1.0])
    loop.contender().block(0.0)
    assert loop.steps == 1 + 1


def test_what_workers_had_ready_is_thrown_away_untrained(clock):
    loop = Loop(clock)
    loop.contender(queued=4).block(1.0)
    assert loop.taken == 4 + loop.steps


def test_what_a_device_has_yet_to_finish_counts(clock):
    assert Loop(clock, costs=[1.0], wait=1.0).contender().block(1.0) == 10 / 2.0


def test_loops_take_turns_and_every_other_round_goes_backwards(clock):
    said = []
    loops = {key: Loop(clock) for key in "abc"}
    order = []

    def watched(key):
        contender = loops[key].contender(key)
        return Contender(
            key=key,
            batches=contender.batches,
            step=lambda batch: (order.append(key), contender.step(batch))[1],
            synchronize=contender.synchronize,
        )

    rates = take_turns([watched(key) for key in "abc"], seconds=0.001, say=said.append)
    runs = [key for key, _ in itertools.groupby(order)]
    assert "".join(runs) == "abc" + "abcbabc"  # warm-up, then a-b-c, c-b-a, a-b-c
    assert rates == {"a": [10.0] * 3, "b": [10.0] * 3, "c": [10.0] * 3}
    assert len(said) == 3
    assert "a 10.0, b 10.0, c 10.0 images/s" in said[0]


def test_no_round_is_started_that_would_end_too_late(clock):
    rates = take_turns([Loop(clock, costs=[0.01]).contender()], seconds=100.0, say=lambda _: None)
    assert clock.now <= 100
    assert len(rates["a"]) == 8  # blocks of 100 / (6 * 1.5) s and lead-ins of 0.3 s


def test_three_rounds_are_run_however_long_they_take(clock):
    rates = take_turns([Loop(clock, costs=[50.0]).contender()], seconds=1.0, say=lambda _: None)
    assert len(rates["a"]) == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_batches_are_closed_at_the_end_and_after_a_break(clock, error):
    fine, broken = Loop(clock), Loop(clock)
    kept = [fine.contender(), broken.contender()]  # else the garbage collector would close them
    take_turns(kept[:1], seconds=1.0, say=lambda _: None)
    assert fine.closed

    def stop(_line):
        raise error

    with pytest.raises(error):
        take_turns(kept[1:], seconds=1.0, say=stop)
    assert broken.closed


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="needs Linux's /proc/stat")
def test_our_own_work_is_not_elsewhere(monkeypatch, tmp_path):
    times = os.times_result((7.0, 2.0, 3.0, 1.0, 0.0))  # user, system, children's both, elapsed
    monkeypatch.setattr(interleave.os, "times", lambda: times)
    monkeypatch.setattr(interleave, "num_cores", os.cpu_count)
    ticks = os.sysconf("SC_CLK_TCK")
    stat = tmp_path / "stat"
    # user nice system idle iowait irq softirq steal guest guest_nice
    seconds = [10, 1, 5, 900, 90, 1, 2, 4, 8, 8]
    stat.write_text("cpu  " + " ".join(str(s * ticks) for s in seconds) + "\n")
    real_open = open
    monkeypatch.setattr(
        "builtins.open", lambda p, *a: real_open(stat if p == "/proc/stat" else p, *a)
    )
    assert cpu_seconds_elsewhere() == pytest.approx((10 + 1 + 5 + 1 + 2 + 4) - (7 + 2 + 3 + 1))


def test_a_process_tied_to_some_cores_cannot_tell(monkeypatch):
    monkeypatch.setattr(interleave, "num_cores", lambda: 1)
    monkeypatch.setattr(interleave.os, "cpu_count", lambda: 8)
    assert cpu_seconds_elsewhere() is None
