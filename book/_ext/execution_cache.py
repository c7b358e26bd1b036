"""Keep what the notebooks gave for as long as nothing that they read has changed.

The notebook cache of MyST-NB looks at the code cells alone: a page would keep its old numbers
after the library, a recorded run or a package had changed. So the cache lies in a folder that is
named by a hash of all that. The folder's name is a configuration value that Sphinx watches: a new
name also makes it read every page again.
"""

import hashlib
import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

from cifar_lessons.data.cifar import data_root
from cifar_lessons.runs import runs_root

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "_build" / ".jupyter_cache"
SOURCES = ("cifar_lessons/**/*", "book/*.toml")


def add(digest: "hashlib._Hash", name: str, content: bytes) -> None:
    """Add something that is read, so that neither its name nor its end can be mistaken."""
    digest.update(f"{name}\0{len(content)}\0".encode() + content)


def inputs_hash() -> str:
    """Return 16 hex digits that change when anything that a notebook reads does."""
    digest = hashlib.sha256()
    read = {p for pattern in SOURCES for p in ROOT.glob(pattern)} | set(runs_root().rglob("*"))
    for path in sorted(read):
        if path.is_file() and "__pycache__" not in path.parts:
            add(digest, str(path), path.read_bytes())
    # Every package: nearly all are pinned, but a reader may have brought another torch.
    for package in sorted({f"{d.name}=={d.version}" for d in metadata.distributions()}):
        add(digest, "package", package.encode())
    add(digest, "python", platform.python_version().encode())
    add(digest, "profile", os.environ.get("CIFAR_LESSONS_PROFILE", "").encode())
    # Live cells run on the synthetic twin where the data is missing, under a banner that names
    # the folder. Sizes are enough: the library checks the content whenever it reads.
    data = data_root()
    add(digest, "data", str(data).encode())
    for path in sorted(data.glob("*/*")):
        add(digest, str(path), str(path.stat().st_size).encode())
    return digest.hexdigest()[:16]


def choose_cache(app: Sphinx, config: Config) -> None:
    """Point MyST-NB at the cache of today's inputs, and delete those of other days.

    The full profile runs without a time limit.
    """
    chosen = CACHE / inputs_hash()
    for other in CACHE.glob("*"):
        if other != chosen:
            shutil.rmtree(other, ignore_errors=True)
    config.nb_execution_cache_path = str(chosen)
    if os.environ.get("CIFAR_LESSONS_PROFILE") == "full":
        config.nb_execution_timeout = -1  # training for real takes as long as it takes


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("config-inited", choose_cache)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
