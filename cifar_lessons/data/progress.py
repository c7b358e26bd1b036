"""How far a download is: a bar on a terminal, a line every ten seconds elsewhere."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any


def megabytes(count: int) -> str:
    """Return bytes as a person reads them: `34 MB`, `0.2 MB`."""
    return f"{count / 1e6:,.0f} MB" if count >= 10e6 else f"{count / 1e6:.1f} MB"


class Progress:
    """Shows bytes, speed and time left on standard error while its block runs.

    Args:
        label: What is fetched.
        have: Bytes that are there already.
        total: Bytes in all, or None where the server does not say.
        shown: False shows nothing.
        every: Seconds between lines where there is no terminal.
        clock: Gives seconds; tests pass their own.
    """

    def __init__(
        self,
        label: str,
        *,
        have: int,
        total: int | None,
        shown: bool = True,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock."""
        self.label, self.have, self.total = label, have, total
        self.shown, self.every, self.clock = shown, every, clock
        self.start_have, self.start = have, clock()
        self.last = self.start
        self.bar: Any = None

    def __enter__(self) -> "Progress":
        """Open the bar if someone looks at a terminal."""
        if self.shown and sys.stderr.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                desc=self.label,
                initial=self.have,
                total=self.total,
                unit="B",
                unit_scale=True,
                leave=False,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()

    def add(self, count: int) -> None:
        """Count bytes that have just arrived."""
        self.have += count
        if self.bar is not None:
            self.bar.update(count)
        elif self.shown and self.clock() - self.last >= self.every:
            self.last = self.clock()
            print(self.line(), file=sys.stderr, flush=True)

    def line(self) -> str:
        """Return the state as a line: `cifar10: 34 MB of 170 MB, 71 kB/s, 32 min left`."""
        speed = (self.have - self.start_have) / max(self.clock() - self.start, 1e-9)  # bytes/s
        text = f"{self.label}: {megabytes(self.have)}"
        if self.total is not None:
            text += f" of {megabytes(self.total)}"
        text += f", {speed / 1e3:,.0f} kB/s"
        if self.total is not None and speed > 0:
            seconds = max(self.total - self.have, 0) / speed
            text += f", {seconds / 60:.0f} min left" if seconds > 90 else f", {seconds:.0f} s left"
        return text
