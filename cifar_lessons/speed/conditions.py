"""On what a benchmark ran, and who else used the machine meanwhile."""

import os
import time
from typing import Any

from cifar_lessons import origins
from cifar_lessons.interleave import cpu_seconds_elsewhere
from cifar_lessons.runtime import Runtime, machine


class Conditions:
    """Watches the machine while something is measured on it.

    Make one before anything else is done: the load average soon holds the measurement's own
    threads. Then `start`, measure, `finish`.
    """

    def __init__(self) -> None:
        """Note how busy the machine is before."""
        self._before = load_average()
        self._facts: dict[str, Any] = {}
        self._began, self._elsewhere = 0.0, cpu_seconds_elsewhere()

    def start(self, runtime: Runtime, *, command: str, data_digest: str = "") -> None:
        """Note code, versions and machine, and start the clock.

        Args:
            runtime: Device and precision of what is measured.
            command: What the user typed.
            data_digest: md5 of the data files, `synthetic`, or nothing where pixels don't matter.
        """
        self._facts = origins.provenance(
            command=command, data_digest=data_digest, **machine(runtime)
        )
        self._began, self._elsewhere = time.perf_counter(), cpu_seconds_elsewhere()

    def finish(self) -> tuple[dict[str, Any], float]:
        """Return the provenance of the measurement and the seconds since `start`.

        The provenance holds the load average before and after, and in `cores_busy_elsewhere` how
        many cores other processes used on average meanwhile; None where that can't be told.
        """
        spent = time.perf_counter() - self._began
        elsewhere = cpu_seconds_elsewhere()
        busy = None
        if elsewhere is not None and self._elsewhere is not None:
            # Clocks tick in hundredths: a short run on an idle machine can come out below 0.
            busy = round(max(0.0, elsewhere - self._elsewhere) / spent, 3)
        self._facts |= {
            "load_average": self._before,
            "load_average_after": load_average(),
            "cores_busy_elsewhere": busy,
        }
        return self._facts, spent


def load_average() -> list[float]:
    """Return the mean number of busy threads over 1, 5 and 15 minutes; empty where unknown."""
    return [round(x, 2) for x in os.getloadavg()] if hasattr(os, "getloadavg") else []
