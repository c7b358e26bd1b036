"""Takes the picture of the book that the README shows: `make picture`, after `make book`.

The first page holds figures of ours alone. A chapter with images of CIFAR would not do: the set
has no licence, so none of it is stored here.
"""

import io
import sys

from PIL import Image
from prose import ROOT

from cifar_lessons.deploy import chromium

PAGE = ROOT / "_build" / "html" / "index.html"
PICTURE = ROOT / "book" / "picture.webp"
WIDTH, HEIGHT = 1280, 880
MOST_BYTES = 150_000


def main() -> None:
    """Write the picture."""
    if not PAGE.is_file():
        sys.exit(f"no page {PAGE}: run `make book` first")
    with chromium.launched() as browser:
        tab = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", device_scale_factor=1
        )
        tab.set_default_timeout(180_000)  # a busy machine
        tab.goto(PAGE.as_uri(), wait_until="networkidle")
        shot = tab.screenshot()
    Image.open(io.BytesIO(shot)).convert("RGB").save(PICTURE, "WEBP", quality=88, method=6)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
