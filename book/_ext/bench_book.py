"""`make bench-book`: how long the book takes to build and how much its pages load, against targets.

No test: seconds depend on the machine and on what else it does. It deletes what the notebooks gave,
so it takes as long as a first build and a bit more.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cifar_lessons.deploy import chromium
from cifar_lessons.tables import Table

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"
HTML = BUILD / "html"

FIRST_SECONDS, CHAPTERS_SECONDS, SECOND_SECONDS = 600, 480, 60
PAGE_BYTES = 1_500_000
SHARED = "/_static/"  # the browser keeps these files from one page to the next
LOADED = """() => ["navigation", "resource"].flatMap(
  (kind) => performance.getEntriesByType(kind).map((e) => [e.name, e.encodedBodySize]))"""


def build() -> float:
    """Return how many seconds `make book` takes."""
    start = time.perf_counter()
    subprocess.run(["make", "book"], cwd=ROOT, check=True, stdout=sys.stderr)
    return time.perf_counter() - start


def chapters() -> list[str]:
    """Return the names of the pages that are notebooks."""
    return sorted(p.stem for p in (ROOT / "book").glob("*.ipynb"))


def weigh(pages: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the bytes that a browser loads with each page: its own, and those that pages share.

    Nothing is compressed, as from a plain static server, and nothing is kept from another page.
    """
    found = {}
    with chromium.served(HTML) as site, chromium.launched() as browser:
        for page in pages:
            context = browser.new_context()
            tab = context.new_page()
            tab.goto(f"{site}/{page}.html", wait_until="networkidle")
            found[page] = split(tab.evaluate(LOADED))
            context.close()
    return found


def split(loaded: Iterable[tuple[str, int]]) -> tuple[int, int]:
    """Return the bytes of (address, bytes) that are a page's own, and those that pages share."""
    own = shared = 0
    for address, size in loaded:
        own, shared = (own, shared + size) if SHARED in address else (own + size, shared)
    return own, shared


def verdict(value: float, target: float) -> str:
    """Return whether a target is met."""
    return "met" if value <= target else "NOT MET"


def times(first: float | None, second: float | None, anew: float | None, chapters: float) -> Table:
    """Return the seconds against their targets; None of a build that was not asked for."""
    told: list[tuple[str, float | None, int | None]] = [
        ("first build", first, FIRST_SECONDS),
        ("all chapters, when they last ran", chapters, CHAPTERS_SECONDS),
        ("second build, nothing changed", second, SECOND_SECONDS),
        ("every page read anew, no notebook run", anew, None),
    ]
    rows = [
        (
            what,
            f"{seconds:.0f}",
            str(target or "-"),
            verdict(seconds, target) if target else "-",
        )
        for what, seconds, target in told
        if seconds is not None
    ]
    return Table(("What", "Seconds", "At most", "Verdict"), rows, caption="Seconds of a build")


def pages(seconds: Mapping[str, float], weights: Mapping[str, tuple[int, int]]) -> Table:
    """Return a row for each chapter: its seconds, and its bytes against the target."""
    rows = [
        (
            page,
            f"{seconds[page]:.0f}" if page in seconds else "not known",
            f"{own / 1e6:.2f}",
            f"{shared / 1e6:.2f}",
            f"{(own + shared) / 1e6:.2f}",
            verdict(own + shared, PAGE_BYTES),
        )
        for page, (own, shared) in weights.items()
    ]
    columns = ("Page", "Seconds to run", "MB of its own", "MB shared", "MB in all", "1.5 MB")
    return Table(columns, rows, caption="What a browser loads, uncompressed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--as-it-is", action="store_true", help="build nothing, weigh the pages")
    first = second = anew = None
    if not parser.parse_args(arguments).as_it_is:
        for folder in (".jupyter_cache", "html", ".doctrees"):
            shutil.rmtree(BUILD / folder, ignore_errors=True)
        first, second = build(), build()
        shutil.rmtree(HTML)
        anew = build()
    stamp: dict[str, Any] = json.loads((HTML / "built.json").read_text("utf-8"))
    known = {p: s for p, s in stamp["seconds"].items() if p in chapters()}
    print(times(first, second, anew, sum(known.values())), "\n")
    print(pages(known, weigh(chapters())), "\n")
    busy = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    dirty = " with uncommitted changes" if stamp["dirty"] else ""
    print(f"{os.cpu_count()} cores, load average {busy}; commit {stamp['commit'][:10]}{dirty}.")


if __name__ == "__main__":
    main()
