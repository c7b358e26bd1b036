"""The network of the page "In the browser": exported by the build, below `_static/demo/`.

It stands in no repository, since it is made from the recorded weights in some ten seconds, and is
made again only when they, the code or a package has changed. Like the files of npm
(offline_assets.py) it lies in a folder that Jupyter Book does not look through, so no other page
loads its scripts.
"""

import hashlib
import shutil
from importlib import metadata
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

from cifar_lessons import runs
from cifar_lessons.atomic import write_atomically
from cifar_lessons.deploy import demo, shipped
from cifar_lessons.deploy.any_size import any_size

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "_build" / "demo_static"
MODELS = ROOT / "_build" / "demo_models"
# What the file depends on beside the weights; the network's own code is a part of it.
SOURCES = ("deploy/*.py", "models/*.py")
PACKAGES = ("torch", "onnx", "onnxscript")


def model_key(found: runs.Run) -> str:
    """Return 16 hex digits that change when the exported file would."""
    digest = hashlib.sha256((found.folder / "weights.safetensors").read_bytes())
    digest.update((found.folder / "run.json").read_bytes())
    for path in sorted(p for s in SOURCES for p in (ROOT / "cifar_lessons").glob(s)):
        digest.update(path.read_bytes())
    for package in PACKAGES:
        digest.update(f"{package}=={metadata.version(package)}\n".encode())
    return digest.hexdigest()[:16]


def place_demo(app: Sphinx, config: Config) -> None:
    """Lay out scripts and model as a static folder; nothing where the network is not recorded."""
    shutil.rmtree(STATIC, ignore_errors=True)
    found = shipped.run()
    if found is None:
        return
    kept = MODELS / f"{model_key(found)}.onnx"
    if not kept.is_file():
        shutil.rmtree(MODELS, ignore_errors=True)  # those of other days
        write_atomically(kept, any_size(shipped.exported(found)))
    folder = STATIC / "demo"
    folder.mkdir(parents=True)
    shutil.copyfile(kept, folder / demo.MODEL)
    for name in demo.SCRIPTS:
        (folder / name).write_text(demo.read(name), "utf-8")
    config.html_static_path.append(str(STATIC))


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("config-inited", place_demo)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
