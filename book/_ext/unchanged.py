"""Exit with 0 if the last whole build saw exactly what a build would see now.

`make book` asks this first. Every page is otherwise read anew, since Sphinx warns of a page only
while it reads it; a build that ended without a warning and would get the same input needs no
second look. Whatever could change a page is part of the hash: too much of it costs a build, too
little would leave an old page.
"""

import hashlib
import sys
from pathlib import Path

import build_stamp
import execution_cache

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "_build"
SEEN = "html/inputs"  # below BUILD; deleted with the pages
# What shapes pages beside the inputs of the notebooks (execution_cache.py, which reads the runs).
FILES = ("*.md", "*.yml", "*.toml", "*.txt", "*.cff", "package*.json", ".npmrc", "Makefile")


def inputs_hash() -> str:
    """Return a digest of everything that a build reads."""
    digest = hashlib.sha256(execution_cache.inputs_hash().encode())
    paths = {*(ROOT / "book").rglob("*"), *(p for pattern in FILES for p in ROOT.glob(pattern))}
    for path in sorted(paths):
        name = path.relative_to(ROOT)
        skipped = name.parts[:2] == ("book", "runs") or any(
            part.startswith((".ipynb", "__pycache__")) for part in name.parts
        )
        if path.is_file() and not skipped:
            execution_cache.add(digest, str(name), path.read_bytes())
    return digest.hexdigest()


def is_unchanged() -> bool:
    """Return whether the pages that are there came of the same inputs.

    If not, today's hash is left as `_build/inputs`, for `make` to put beside the pages when they
    are whole: what changes during a build counts as changed after it.
    """
    now, seen = inputs_hash(), BUILD / SEEN
    if seen.is_file() and seen.read_text("utf-8") == now:
        build_stamp.refresh(seen.parent)
        return True
    BUILD.mkdir(exist_ok=True)
    (BUILD / "inputs").write_text(now, "utf-8")
    return False


if __name__ == "__main__":
    sys.exit(not is_unchanged())
