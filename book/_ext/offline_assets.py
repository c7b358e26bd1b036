"""Pages that load nothing from elsewhere: npm's files go below the book's own `_static/vendor/`.

Jupyter Book loads every `*.js` and `*.css` of a static folder that its configuration names on
every page. This folder is added later, when it no longer looks, so that a page loads only what
it uses: MathJax where there is a formula, the widget manager where there is a widget.
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

# Below _static/vendor/ : where it comes from.
VENDORED = {
    "mathjax/tex-mml-chtml.js": MODULES / "mathjax/es5/tex-mml-chtml.js",
    "mathjax/output/chtml/fonts/woff-v2": MODULES / "mathjax/es5/output/chtml/fonts/woff-v2",
    "mathjax/LICENSE": MODULES / "mathjax/LICENSE",
    "requirejs/require.js": MODULES / "requirejs/require.js",
    "html-manager/embed-amd.js": MODULES / WIDGETS / "embed-amd.js",
    "widgets-config.js": HERE / "widgets-config.js",
    # One page loads these (browser_demo.py), when a reader hands it a picture.
    "ort/ort.wasm.bundle.min.mjs": MODULES / ORT / "ort.wasm.bundle.min.mjs",
    "ort/ort-wasm-simd-threaded.wasm": MODULES / ORT / "ort-wasm-simd-threaded.wasm",
}


def copy_vendored(app: Sphinx, config: Config) -> None:
    """Lay the files out as a static folder of their own."""
    # The widget bundle names its icon fonts by their hash.
    fonts = {f"html-manager/{p.name}": p for p in (MODULES / WIDGETS).glob("*.woff2")}
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
