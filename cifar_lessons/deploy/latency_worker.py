"""A process that holds one engine and times blocks of calls when it is asked to.

`bench latency` starts one for each engine, so that none shares threads, caches or memory with
another, and leaves them idle while the others are timed. Asked by a line with the number of calls,
it answers with a line of their seconds; it ends when its input ends.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import numpy as np

from cifar_lessons.deploy.runtimes import WAYS, open_way
from cifar_lessons.errors import UserError

WARM_UP = 20  # calls, once, before anything is timed
LEAD_IN = 3  # calls before each block: the caches were others' meanwhile


class Worker:
    """The near end of such a process."""

    def __init__(self, way: str, folder: Path, *, batch: int, threads: int) -> None:
        """Start a process; `ready` waits until it has warmed up.

        Args:
            way: A key of `WAYS`.
            folder: With the files, and `pixels.npy`, at least `batch` images.
            batch: Images in a call.
            threads: Of the CPU.
        """
        self.way = way
        asked = {"way": way, "folder": str(folder), "batch": batch, "threads": threads}
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (a pipe could fill up)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cifar_lessons.deploy.latency_worker", json.dumps(asked)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )

    def ready(self) -> None:
        """Wait until the engine is warm."""
        self._answer()

    def block(self, calls: int) -> list[float]:
        """Return the seconds of each of so many calls, made now, one after the other."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended; what it said last tells why
            self._process.stdin.write(f"{calls}\n")
            self._process.stdin.flush()
        found: list[float] = self._answer()
        return found

    def close(self) -> None:
        """End the process, and wait for its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._complaints.close()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip().splitlines()
        why = said[-1].partition("UserError: ")[2] or said[-1] if said else "it said nothing"
        raise UserError(f"{WAYS[self.way].label} gave no answer: {why}")


def main() -> None:
    """Be such a process; the first argument says which, as `Worker` wrote it."""
    asked = json.loads(sys.argv[1])
    folder = Path(asked["folder"])
    run = open_way(asked["way"], folder, threads=asked["threads"])
    pixels = np.load(folder / "pixels.npy")[: asked["batch"]]
    for _ in range(WARM_UP):
        run(pixels)
    _say("ready")
    for line in sys.stdin:
        for _ in range(LEAD_IN):
            run(pixels)
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            run(pixels)
            seconds.append(time.perf_counter() - start)
        _say(seconds)


def _say(answer: Any) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
