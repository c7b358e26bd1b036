"""What the pages were built from, and how long each notebook took: `built.json` beside them.

The walk through the pages (tests/book/test_pages.py) and the benchmark of the build read it.
"""

import json
from pathlib import Path

from sphinx.application import Sphinx

from cifar_lessons.origins import git

STAMP = "built.json"


def commit() -> dict[str, object]:
    """Return the commit of the checkout, and whether files differ from it."""
    changed = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": git("rev-parse", "HEAD") or "", "dirty": changed != ""}


def write_stamp(app: Sphinx, exception: Exception | None) -> None:
    """Write it when the pages are whole."""
    if exception is not None or app.builder.format != "html":
        return
    seconds = {
        page: round(data["exec_data"]["runtime"], 1)
        for page, data in sorted(app.env.nb_metadata.items())
        if data.get("exec_data", {}).get("runtime") is not None
    }
    stamp = commit() | {"seconds": seconds}
    (Path(app.outdir) / STAMP).write_text(json.dumps(stamp, indent=1) + "\n", "utf-8")


def refresh(pages: Path) -> None:
    """Name today's commit: the same pages would come of it (unchanged.py)."""
    path = pages / STAMP
    stamp = json.loads(path.read_text("utf-8")) | commit()
    path.write_text(json.dumps(stamp, indent=1) + "\n", "utf-8")


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("build-finished", write_stamp)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
