"""One file over HTTP, on a line that breaks: resumed, bounded, and never half under its name.

The bytes go to a `.part` file, which outlives a break, Ctrl-C and a restart. `Range` (RFC 9110,
section 14) asks for the rest; `If-Range` makes a server whose file has changed send all of it.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_lessons.data import web
from cifar_lessons.data.disk import explained
from cifar_lessons.data.official import SourceError
from cifar_lessons.data.progress import Progress, megabytes

CHUNK = 1 << 16  # bytes


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a bad line is borne."""

    tries: int = 5  # in a row, each without `progress` bytes
    progress: int = 1 << 20  # bytes that are worth another row of tries
    first_wait: float = 1.0  # seconds; doubles with each try
    longest_wait: float = 60.0  # seconds, also for a server that asks for more
    stall: float = 30.0  # seconds with fewer than `trickle` bytes end a try
    trickle: int = 1 << 10


class _TooLong(SourceError):
    """The body goes on past the end of the file that was asked for."""


class Download:
    """Fetches `url` into `part`, across breaks.

    Args:
        url: http or https.
        part: Where the bytes gather; what an earlier run left there is continued.
        size: Exact bytes of the file, where they are known beforehand. Then the file is one whose
            checksum is known too, so bytes that came from another server are continued as well.
        limit: Most bytes to take where `size` is None.
        label: What it is, for progress.
        say: Takes lines for the user.
        shown: Whether progress is shown.
        patience: How long a bad line is borne.
    """

    def __init__(
        self,
        url: str,
        part: Path,
        *,
        size: int | None = None,
        limit: int = 1 << 30,
        label: str = "download",
        say: Callable[[str], None] = lambda line: None,
        shown: bool = True,
        patience: Patience | None = None,
    ) -> None:
        """Nothing is opened yet."""
        self.url, self.part, self.size, self.limit = url, part, size, limit
        self.label, self.say, self.shown = label, say, shown
        self.patience = patience or Patience()
        self.note = part.with_name(part.name + ".json")  # where the bytes came from
        self.fresh = not self._have()  # whether every byte in `part` came through this object
        self.ranges = True  # until the server shows that it cannot send a part

    def run(self) -> None:
        """Return when the file is whole; its checksum is the caller's to check.

        Raises:
            SourceError: The server has not this file, or the line broke too often.
            UserError: The disk refuses.
        """
        failures, best = 0, self._have()
        while True:
            try:
                return self._try()
            except _TooLong:
                self.forget()  # another file's bytes: nothing to continue
                raise
            except web.Broken as broken:
                have = self._have()
                failures = 1 if have >= best + self.patience.progress else failures + 1
                best = max(best, have)
                where = f"{broken} at {have:,} bytes"
                if failures >= self.patience.tries:
                    raise SourceError(f"{where}, after {failures} tries in a row") from broken
                wait = max(self.patience.first_wait * 2 ** (failures - 1), broken.wait)
                wait = min(wait, self.patience.longest_wait)
                self.say(f"{self.url}: {where}; trying again in {wait:.0f} s")
                time.sleep(wait)

    def forget(self) -> None:
        """Remove what has gathered."""
        with explained(self.part):
            self.part.unlink(missing_ok=True)
            self.note.unlink(missing_ok=True)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _try(self) -> None:
        have = self._have()
        if have == self.size:
            return
        validator = self._validator()
        # Without a known size, only a validator says that the rest fits to what is here.
        continues = have < self.size if self.size is not None else validator is not None
        asked = have if self.ranges and continues else 0
        headers = {"Accept-Encoding": "identity"}
        if asked:
            headers["Range"] = f"bytes={asked}-"
            if validator is not None:
                headers["If-Range"] = validator
        try:
            response = web.ask(self.url, headers, timeout=self.patience.stall)
        except web.RangeRefused as refused:
            if self.size is None and refused.size == asked:
                return  # nothing was missing
            self.ranges = False
            raise web.Broken(str(refused)) from refused
        with response:
            start, total = self._accept(response, asked)
            self._save(response, start, total)

    def _accept(self, response: Any, asked: int) -> tuple[int, int | None]:
        """Return where the body starts and how long the file is; refuse what cannot be it."""
        start, total = 0, web.number(response.headers.get("Content-Length"))
        if response.status == 206:
            found = re.fullmatch(
                r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15}|\*)",
                response.headers.get("Content-Range", ""),
            )
            if found is None or int(found[1]) != asked:
                self.ranges = False
                raise web.Broken("the server sent another part of the file than was asked for")
            start, total = asked, web.number(found[2])
        # Before a byte is taken or thrown away: a wrong file may be a long one.
        if self.size is not None and total not in (None, self.size):
            raise SourceError(f"offers {total:,} bytes, expected {self.size:,}: not this file")
        if self.size is None and total is not None and total > self.limit:
            raise SourceError(f"offers {total:,} bytes, more than the {self.limit:,} taken here")
        return start, total

    def _save(self, response: Any, start: int, total: int | None) -> None:
        """Append the body to `part`, or begin it anew when the server began anew."""
        expected = total if self.size is None else self.size
        self.fresh = self.fresh or start == 0
        with (
            explained(self.part),
            self.part.open("ab" if start else "wb") as file,
            Progress(self.label, have=start, total=expected, shown=self.shown) as progress,
        ):
            if start == 0:
                self._remember(response)
            try:
                for chunk in self._body(response, start, total):
                    file.write(chunk)
                    progress.add(len(chunk))
            finally:
                file.flush()
                os.fsync(file.fileno())
        if expected is not None and self._have() < expected:
            raise web.Broken(f"the connection closed before {megabytes(expected)}")

    def _body(self, response: Any, have: int, total: int | None) -> Iterator[bytes]:
        """Yield what arrives, until the end, a stall, or more than there may be."""
        most = self.limit if self.size is None else self.size
        since, lately = time.monotonic(), 0
        while total is None or have < total:
            # Where no length was declared, one byte more than there may be tells enough.
            chunk = web.read(response, min(CHUNK, (most + 1 if total is None else total) - have))
            if not chunk:
                return
            have, lately = have + len(chunk), lately + len(chunk)
            if have > most:
                raise _TooLong(f"sends more than {most:,} bytes: not this file")
            yield chunk
            now = time.monotonic()
            if now - since >= self.patience.stall:
                if lately < self.patience.trickle:
                    raise web.Broken(f"only {lately} bytes in {now - since:.0f} s")
                since, lately = now, 0

    def _validator(self) -> str | None:
        """Return what proves that the server's file is still the one that `part` began with."""
        try:
            note = json.loads(self.note.read_text())
        except (OSError, ValueError):
            return None
        if not isinstance(note, dict) or note.get("url") != self.url:
            return None
        validator = note.get("validator")
        return validator if isinstance(validator, str) and validator.isprintable() else None

    def _remember(self, response: Any) -> None:
        etag = response.headers.get("ETag")
        if etag is not None and etag.startswith("W/"):
            etag = None  # a weak one says nothing about bytes (RFC 9110, section 8.8.1)
        validator = etag or response.headers.get("Last-Modified")
        self.note.write_text(json.dumps({"url": self.url, "validator": validator}))
