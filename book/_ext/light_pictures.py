"""Light pages: pictures as WebP without loss, and none of them inside the HTML.

For a plot that is a third of PNG's bytes. Notebooks keep PNG, which every editor of notebooks
shows, and so does the PDF. What a script or a widget of a notebook brings along as a data URI
becomes a file, which a browser loads when the script asks for it.
"""

import base64
import hashlib
import re
from pathlib import Path
from typing import ClassVar

from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms.images import ImageConverter

# Of 15 kB or more: one that is smaller costs less where it is than another request.
DATA_URI = re.compile(
    r"data:image/(?P<kind>png|webp);base64,(?P<content>[A-Za-z0-9+/]{20000,}={0,2})"
)


class PngToWebp(ImageConverter):
    """Converts what notebooks have drawn."""

    conversion_rules: ClassVar = [("image/png", "image/webp")]

    def is_available(self) -> bool:
        """Pillow is always there."""
        return True

    def convert(self, _from: str, _to: str) -> bool:
        """Write the picture, unless an earlier build has: MyST-NB names one by its content."""
        kept = Path(self.app.outdir).with_name("webp") / f"{Path(_from).stem}.webp"
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            lossless(Path(_from), kept)
        Path(_to).write_bytes(kept.read_bytes())
        return True


def lossless(source: Path, target: Path) -> None:
    """Write a picture as WebP with the same pixels; half a picture is never left behind."""
    half = target.with_suffix(".part")
    with Image.open(source) as picture:
        picture.save(half, "WEBP", lossless=True, quality=100, exact=True)
    half.replace(target)


def move_out(html: str, folder: Path) -> str:
    """Return a page with its large data URIs as files in a folder beside it."""

    def moved(match: re.Match[str]) -> str:
        content = base64.b64decode(match["content"])
        name = f"{hashlib.sha256(content).hexdigest()}.{match['kind']}"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return f"{folder.name}/{name}"

    return DATA_URI.sub(moved, html)


def move_all_out(app: Sphinx, exception: Exception | None) -> None:
    """Do so for all pages of a book that has been built: they lie in one folder."""
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).glob("*.html"):
        before = page.read_text("utf-8")
        after = move_out(before, page.parent / "_images")
        if after != before:
            page.write_text(after, "utf-8")


def prefer_webp(app: Sphinx) -> None:
    """Tell Sphinx that pages take WebP and not PNG, so that it asks for a conversion."""
    if app.builder.format == "html":
        known = set(app.builder.supported_image_types) - {"image/png"}
        app.builder.supported_image_types = ["image/webp", *sorted(known)]


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("builder-inited", prefer_webp)
    app.add_post_transform(PngToWebp)
    app.connect("build-finished", move_all_out)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
