"""Pages that load nothing from elsewhere: npm's files go below the book's own `_static/vendor/`.

Jupyter Book loads every `*.js` and `*.css` of a static folder that its configuration names on
every page. This folder is added later, when it no longer looks, so that a page loads only what
it uses: the widget manager where there is a widget, the engine of the demo where it is asked for.
"""

import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODULES = ROOT / "node_modules"
STATIC = ROOT / "_build" / "vendor_static"
WIDGETS = "@jupyter-widgets/html-manager/dist"
ORT = "onnxruntime-web/dist"
FONTS = {"html-manager": WIDGETS, "katex/fonts": "katex/dist/fonts"}

# Below _static/vendor/ : where it comes from.
VENDORED = {
    "katex/katex.min.css": MODULES / "katex/dist/katex.min.css",
    "katex/LICENSE": MODULES / "katex/LICENSE",
    "requirejs/require.js": MODULES / "requirejs/require.js",
    "html-manager/embed-amd.js": MODULES / WIDGETS / "embed-amd.js",
    "widgets.js": HERE / "widgets.js",
    # One page loads these (browser_demo.py), when a reader hands it a picture.
    "ort/ort.wasm.bundle.min.mjs": MODULES / ORT / "ort.wasm.bundle.min.mjs",
    "ort/ort-wasm-simd-threaded.wasm": MODULES / ORT / "ort-wasm-simd-threaded.wasm",
}


def copy_vendored(app: Sphinx, config: Config) -> None:
    """Lay the files out as a static folder of their own."""
    # The widget bundle names its icon fonts by their hash. Every browser of today reads woff2.
    fonts = {
        f"{folder}/{p.name}": p
        for folder, source in FONTS.items()
        for p in (MODULES / source).glob("*.woff2")
    }
    shutil.rmtree(STATIC, ignore_errors=True)  # what an older list named must not linger
    for name, source in (VENDORED | fonts).items():
        target = STATIC / "vendor" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.is_file():
            shutil.copy2(source, target)
        else:
            raise ConfigError(f"{source} is missing: `make book` fetches it")
    config.html_static_path.append(str(STATIC))
    config.templates_path.insert(0, str(HERE / "templates"))


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("config-inited", copy_vendored)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
