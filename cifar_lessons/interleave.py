"""Timing loops that take turns, in blocks of some seconds within one run.

Whatever slows the machine for a while slows them all, so their ratio stays true where two runs
one after the other would not be comparable. A block starts with steps that are not timed; before
them it throws away what worker processes prepared while another loop was timed.
"""

import itertools
import os
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from cifar_lessons.runtime import num_cores

LEAD_IN = 0.3  # seconds, and at least one step, that pass before a block is timed
PLANNED_ROUNDS, FEWEST_ROUNDS = 6, 3


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One of the loops that take turns: endless batches, and what is done with each.

    Attributes:
        key: Its name in the result.
        batches: Never ends by itself; closing it frees what it holds, such as processes.
        step: Works on one batch, and returns how many images it held.
        synchronize: Waits for what a step left running on the device.
        queued: Batches that workers hold ready when nobody asks.
    """

    key: str
    batches: Generator[Any, None, None]
    step: Callable[[Any], int]
    synchronize: Callable[[], None]
    queued: int = 0

    def run(self, seconds: float) -> tuple[int, float]:
        """Return images and seconds of at least `seconds`, and at least one step."""
        images, spent, start = 0, 0.0, time.perf_counter()
        while images == 0 or spent < seconds:
            images += self.step(next(self.batches))
            spent = time.perf_counter() - start
        self.synchronize()
        return images, time.perf_counter() - start

    def block(self, seconds: float) -> float:
        """Return images/s over at least `seconds`, after a lead-in that is not timed."""
        for _ in range(self.queued):
            next(self.batches)
        self.run(min(LEAD_IN, seconds))
        images, spent = self.run(seconds)
        return images / spent


def take_turns(
    contenders: Sequence[Contender], *, seconds: float, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Return images/s of each contender, one rate a round, and close their batches.

    Every other round goes backwards, so that no loop always follows the same one.

    Args:
        contenders: The loops.
        seconds: For all of them together. Three rounds are run however long they take, and no
            further one is started that would end too late.
        say: Called with one line a round.
    """
    start = time.perf_counter()
    # 1.5: a block's untimed steps, and its last step, which runs over.
    length = seconds / (PLANNED_ROUNDS * len(contenders) * 1.5)
    rates: dict[str, list[float]] = {c.key: [] for c in contenders}
    longest = 0.0
    try:
        for contender in contenders:
            contender.run(0.0)  # the first step sets up memory, kernels and workers
        for turn in itertools.count(1):
            began = time.perf_counter()
            for contender in contenders[:: 1 if turn % 2 else -1]:
                rates[contender.key].append(float(f"{contender.block(length):.5g}"))
            now = time.perf_counter()
            longest = max(longest, now - began)
            shown = ", ".join(f"{key} {found[-1]:,.1f}" for key, found in rates.items())
            say(f"round {turn}, after {now - start:.0f} s: {shown} images/s")
            if turn >= FEWEST_ROUNDS and now - start + longest > seconds:
                return rates
        raise AssertionError("unreachable: the rounds end by return")
    finally:
        for contender in contenders:
            contender.batches.close()


def cpu_seconds_elsewhere() -> float | None:
    """Return the CPU seconds that other processes have used since the machine started.

    Counts this process and its ended children as our own. None where that cannot be told: not on
    Linux, or in a process tied to some of the cores.
    """
    if num_cores() != os.cpu_count():
        return None
    try:
        with open("/proc/stat") as file:
            user, nice, system, _idle, _wait, *rest = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return None
    own = os.times()
    everyone = (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")
    return everyone - own.user - own.system - own.children_user - own.children_system
