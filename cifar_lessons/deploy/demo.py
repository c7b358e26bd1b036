"""A page on which a network answers in the reader's own browser, and no picture leaves it.

`section` is the piece of HTML, for a notebook of the book; `write_folder` makes a site of its own.
The scripts beside this module load ONNX Runtime's WebAssembly (npm's onnxruntime-web), one thread,
and only when a picture is there: it is 14 MB.
"""

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from cifar_lessons.atomic import require_writable, write_atomically
from cifar_lessons.deploy.any_size import any_size
from cifar_lessons.deploy.model_file import About, ModelFile
from cifar_lessons.errors import UserError
from cifar_lessons.interactive.page import Page, fresh_id

SCRIPTS = ("demo.mjs", "classifier.mjs", "picture.mjs")
RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
RUNTIME_VERSION = "1.30.0"  # of onnxruntime-web, as in package.json
MODEL = "model.onnx"


@dataclass(frozen=True)
class Samples:
    """Pictures that a reader can try at once.

    Attributes:
        heading: What they are.
        pictures: (words that say what is seen, PNG).
    """

    heading: str
    pictures: Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Places:
    """Where a page finds its files, seen from the root of the site; folders end with a slash."""

    scripts: str
    runtime: str
    model: str


IN_BOOK = Places("_static/demo/", "_static/vendor/ort/", f"_static/demo/{MODEL}")
ALONE = Places("", "ort/", MODEL)


def read(name: str) -> str:
    """Return one of the files that make the page."""
    return resources.files(__package__).joinpath("page", name).read_text("utf-8")


def section(
    about: About,
    places: Places,
    *,
    samples: Sequence[Samples] = (),
    familiarity: Sequence[float] = (),
) -> Page:
    """Return the demo as a piece of HTML.

    Args:
        about: What the model says of itself.
        places: Of the scripts, the runtime and the model.
        samples: To try at once, group by group.
        familiarity: Percentiles 0, 1, … 100 of log(sum(exp(logits))) on test images (see
            `evaluation.outsiders`), where they are known: each answer is then held against them.

    Raises:
        ValueError: Other than 101 percentiles, or none.
    """
    if len(familiarity) not in (0, 101):
        raise ValueError(f"familiarity must hold 101 percentiles or none, got {len(familiarity)}")
    root = fresh_id("demo")
    config = {
        "script": f"{places.scripts}demo.mjs",
        "ort": places.runtime,
        "model": places.model,
        "classes": list(about.classes),
        "familiarity": [round(float(q), 4) for q in familiarity],
    }
    # Markup inside a string would be read by the HTML parser before JavaScript sees the string.
    handed = json.dumps(config, allow_nan=False).replace("<", "\\u003c")
    few = ", ".join(about.classes) if len(about.classes) <= 20 else f"{about.classes[0]}, …"
    note = (
        f"It always names one of its {len(about.classes)} classes ({html.escape(few)}), whatever "
        "it is shown: &ldquo;none of these&rdquo; is not among them. What is none of them gets a "
        "name all the same, and often a sure one."
    )
    parts = {
        "root": root,
        "style": read("demo.css").strip(),
        "samples": "".join(_buttons(group) for group in samples),
        "note": note,
        "config": handed,
    }
    body = _filled("section.html", parts)
    return Page(body, f"A demo of {about.name}, for a browser.")


def _filled(name: str, parts: Mapping[str, str]) -> str:
    """Return a file of the page with its places `{name}` filled; other braces are left alone."""
    places = re.compile("{(" + "|".join(parts) + ")}")
    return places.sub(lambda place: parts[place[1]], read(name).strip()) + "\n"


def _buttons(group: Samples) -> str:
    """Return samples under their heading."""
    items = "".join(
        f'<li><button type="button" data-cl="sample"><img alt="{html.escape(words)}" width="48" '
        f'height="48" src="data:image/png;base64,{base64.b64encode(png).decode()}"></button></li>\n'
        for words, png in group.pictures
    )
    heading = html.escape(group.heading)
    return (
        f'<p class="cl-heading">{heading}</p>\n'
        f'<ul class="cl-samples" aria-label="{heading}">\n{items}</ul>\n'
    )


def write_folder(
    model: ModelFile, folder: Path, *, runtime: Path, samples: Sequence[Samples] = ()
) -> None:
    """Write a site of one page: all its files, and nothing that comes from elsewhere.

    Args:
        model: From `export`, `quantize` or `read_model`.
        folder: Is made. A page that is there already is replaced.
        runtime: Folder of onnxruntime-web's files; see `find_runtime`.
        samples: Shown on the page.

    Raises:
        UserError: The folder cannot be written, or the model cannot be used.
    """
    content = any_size(model)
    require_writable(folder)
    about = model.about
    title = html.escape(f"Try {about.name}")
    words = html.escape(
        f"A network for {len(about.classes)} classes, {about.precision}, "
        f"{len(content) / 1e6:.1f} MB; {about.scored} when it was trained. It runs in this "
        "browser: no picture leaves it."
    )
    shown = section(about, ALONE, samples=samples).html
    page = _filled("index.html", {"title": title, "about": words, "section": shown})
    for name in RUNTIME:
        write_atomically(folder / ALONE.runtime / name, (runtime / name).read_bytes())
    write_atomically(folder / MODEL, content)
    for name in SCRIPTS:
        write_atomically(folder / name, read(name).encode())
    write_atomically(folder / "index.html", page.encode())  # last: then all is there


def find_runtime() -> Path:
    """Return the folder with onnxruntime-web's files: of the clone, the built book, or npm's here.

    Raises:
        UserError: It is nowhere; the message has the command that fetches it.
    """
    root = Path(__file__).resolve().parents[2]
    inside = Path("node_modules", "onnxruntime-web", "dist")
    places = (root / inside, root / "_build/html" / IN_BOOK.runtime, Path.cwd() / inside)
    for place in places:
        if all((place / name).is_file() for name in RUNTIME):
            return place
    raise UserError(
        "the page needs onnxruntime-web, which is not here: `make setup` in a clone fetches it, "
        f"and so does `npm install onnxruntime-web@{RUNTIME_VERSION}` in this folder"
    )
