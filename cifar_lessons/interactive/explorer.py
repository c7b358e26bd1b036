"""An explorer of errors: pictures that networks get wrong, by class, confidence and network.

No CIFAR image is stored anywhere for it: the pictures are cut from the reader's own copy of the
data when a notebook runs, and go into its output as one sprite.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.evaluation.mistakes import Answers, answers, sample
from cifar_lessons.interactive.page import Page, fresh_id, script, style

COLUMNS = 32  # of the sprite: pictures side by side
Pixels = npt.NDArray[np.uint8]


def explorer(
    networks: Mapping[str, Predictions],
    images: Pixels,
    classes: Sequence[str],
    *,
    each: int = 10,
    seed: int = 0,
) -> Page:
    """Return pictures of mistakes that a reader can filter and sort.

    Args:
        networks: Predictions by name, all on the same N images.
        images: Those images before normalisation, uint8, shape (N, 3, 32, 32).
        classes: Names of the K classes.
        each: Of each network and class: so many of the surest mistakes, and as many drawn from
            the rest. About 0.8 kB a picture on the page.
        seed: Of the draw.

    Raises:
        ValueError: Nothing to show, or arrays that don't belong together.
    """
    found = answers(networks)
    if images.dtype != np.uint8 or images.shape != (len(found.labels), 3, 32, 32):
        raise ValueError(
            f"images must be uint8 ({len(found.labels)}, 3, 32, 32), as many as were answered, got "
            f"{images.dtype} {images.shape}; give the pixels of the split that was predicted"
        )
    width = next(iter(networks.values())).logits.shape[1]
    if len(classes) != width:
        raise ValueError(f"{len(classes)} names for {width} classes; give one for each")
    rows = sample(found, each=each, seed=seed)
    if not len(rows):
        raise ValueError(f"{', '.join(found.names)}: no mistakes to show among {len(found.labels)}")
    root = fresh_id("explorer")
    data = {
        "classes": list(classes),
        "networks": [
            {"name": name, "all": _codes(found, m, width)} for m, name in enumerate(found.names)
        ],
        "columns": COLUMNS,
        "sprite": _sprite(images[rows]),
        "pictures": [
            {
                "row": int(row),
                "label": int(found.labels[row]),
                "said": found.said[:, row].tolist(),
                "sure": _tenths(found.sure[:, row]).tolist(),
            }
            for row in rows
        ],
    }
    text = (
        f"{len(rows)} of {len(found.labels):,} test images, each wrong for one network or more: of "
        f"every network and class the {each} surest mistakes, and up to {each} drawn from the rest."
    )
    body = (
        f'<div class="cl-explorer" id="{root}">\n{style("explorer")}\n'
        f"<p>{html.escape(text)}</p>\n"
        "<noscript><p>The pictures need JavaScript.</p></noscript>\n"
        f'<div data-cl="app" hidden>\n{_controls(found.names, classes)}</div>\n'
        f"{script('explorer', root, data)}\n</div>"
    )
    return Page(body, f"An explorer of mistakes, for a browser. {text}")


def _tenths(sure: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return tenths of a percent, rounded down: nothing short of certain is shown as 100 %."""
    return np.minimum(np.floor(1000 * sure), 999).astype(np.int64)


def _codes(found: Answers, m: int, classes: int) -> list[int]:
    """Return every mistake of a network as one number, so that the page can count them all."""
    wrong = found.wrong[m]
    pair = found.labels[wrong] * classes + found.said[m][wrong]
    return (pair * 1000 + _tenths(found.sure[m][wrong])).tolist()  # type: ignore[no-any-return]


def _sprite(images: Pixels) -> str:
    """Return pictures side by side as one WebP, in a data URI."""
    from PIL import Image

    lines = -(-len(images) // COLUMNS)
    sheet = np.zeros((lines * COLUMNS, 3, 32, 32), np.uint8)
    sheet[: len(images)] = images
    grid = sheet.reshape(lines, COLUMNS, 3, 32, 32).transpose(0, 3, 1, 4, 2)
    buffer = io.BytesIO()
    whole = Image.fromarray(np.ascontiguousarray(grid.reshape(lines * 32, COLUMNS * 32, 3)))
    whole.save(buffer, "WEBP", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _controls(names: Sequence[str], classes: Sequence[str]) -> str:
    """Return the controls, empty places for pictures, and the buttons that turn pages."""
    each_class = [("", "any"), *((str(k), name) for k, name in enumerate(classes))]
    orders = [("surest", "surest first"), ("unsure", "least sure first"), ("number", "as stored")]
    return (
        '<div class="cl-controls">\n'
        + _select("network", "Network", [(str(m), name) for m, name in enumerate(names)])
        + _select("label", "Labelled", each_class)
        + _select("said", "Called", each_class)
        + '<label><span>Confidence from <span data-cl="least">0 %</span></span>'
        '<input type="range" min="0" max="95" step="5" value="0" data-cl="sure"></label>\n'
        + _select("order", "Order", orders)
        + '<label class="cl-check"><input type="checkbox" data-cl="everybody">'
        "only what all get wrong</label>\n</div>\n"
        '<p class="cl-count" data-cl="count" role="status"></p>\n'
        '<div class="cl-detail" data-cl="detail" aria-live="polite">'
        "<p>Choose a picture to see it large, with what every network says.</p></div>\n"
        '<ul class="cl-tiles" data-cl="tiles"></ul>\n'
        '<p class="cl-count"><button type="button" data-cl="previous">Previous page</button>\n'
        '<button type="button" data-cl="next">Next page</button></p>\n'
    )


def _select(name: str, label: str, options: Sequence[tuple[str, str]]) -> str:
    choices = "".join(
        f'<option value="{html.escape(value)}">{html.escape(text)}</option>'
        for value, text in options
    )
    return f'<label>{label}<select data-cl="{name}">{choices}</select></label>\n'
