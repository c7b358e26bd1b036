"""Proves that the demo works for everyone: in Chromium, from a plain server, without a network."""

import base64
import io
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cifar_lessons.data.drawings import KINDS, draw
from cifar_lessons.deploy import chromium, demo, shipped
from cifar_lessons.deploy.any_size import any_size, runner
from cifar_lessons.deploy.demo_samples import png
from cifar_lessons.deploy.pixels import as_pixels

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"viewport": {"width": 390, "height": 844}}
RNG = np.random.default_rng(3)
NOISE = RNG.integers(0, 256, (50, 70, 3), dtype=np.uint8)


def file(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "mimeType": "", "buffer": content}


def said(tab: Any, words: str) -> str:
    """Wait until the status has these words, and return it."""
    status = tab.get_by_role("status")
    status.filter(has_text=words).wait_for()
    return str(status.text_content())


def give(tab: Any, name: str, content: bytes) -> None:
    tab.get_by_label("Picture file").set_input_files(file(name, content))


def probabilities(tab: Any) -> np.ndarray:
    return np.array(json.loads(tab.locator(".cl-demo").get_attribute("data-probabilities")))


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


# --- a picture and its answer -----------------------------------------------------------------


def test_a_file_is_answered_as_in_python(opened, site, exported):
    tab = opened(f"{site}/index.html")
    assert said(tab, "No picture") == "No picture yet."
    give(tab, "noise.png", png(NOISE))
    status = said(tab, " ms")
    expected = runner(any_size(exported))(NOISE)
    np.testing.assert_allclose(probabilities(tab), expected.probabilities, atol=1e-4)
    best = exported.about.classes[expected.probabilities.argmax()]
    assert status.startswith(f"{best}, ")
    rows = tab.locator("ol.cl-bars li")
    order = np.argsort(-expected.probabilities, kind="stable")[:5]
    named = [row.split()[0] for row in rows.all_text_contents()]
    assert named == [exported.about.classes[k] for k in order]
    assert "noise.png: 70 × 50 pixels." in tab.locator(".cl-note").first.text_content()
    seen = tab.locator("[data-cl=seen]").evaluate(
        "c => [...c.getContext('2d').getImageData(0, 0, 32, 32).data].filter((_, k) => k % 4 < 3)"
    )
    np.testing.assert_array_equal(np.array(seen).reshape(32, 32, 3), expected.seen)


def test_nothing_is_fetched_before_a_picture_is_there(opened, site):
    tab = opened(f"{site}/index.html")
    asked: list[str] = []
    loaded = tab.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    assert not [a for a in loaded if "ort" in a or a.endswith(".onnx")]
    tab.on("request", lambda r: asked.append(r.url.rpartition("/")[2]))
    tab.get_by_role("button", name="sample 1").click()
    said(tab, " ms")
    assert {*demo.RUNTIME, "model.onnx"} <= set(asked)
    asked.clear()
    tab.get_by_role("button", name="sample 2").click()
    tab.get_by_text("sample 2: 60 × 40 pixels.").wait_for()
    assert asked == []


DROP = """([zone, text, name]) => {
  const carried = new DataTransfer();
  const bytes = Uint8Array.from(name ? atob(text) : "", (c) => c.charCodeAt(0));
  if (name) carried.items.add(new File([bytes], name));
  else carried.setData("text/plain", text);
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true });
    document.querySelector(zone).dispatchEvent(event);
    if (!event.defaultPrevented) throw new Error(`the browser would open the file on ${kind}`);
  }
}"""
PASTE = """([text, name]) => {
  const carried = new DataTransfer();
  const bytes = Uint8Array.from(name ? atob(text) : "", (c) => c.charCodeAt(0));
  if (name) carried.items.add(new File([bytes], name));
  const event = new ClipboardEvent("paste", { clipboardData: carried, bubbles: true });
  document.body.dispatchEvent(event);
}"""


def test_a_picture_is_dropped_or_pasted(opened, site):
    tab = opened(f"{site}/index.html")
    text = base64.b64encode(png(NOISE)).decode()
    tab.evaluate(DROP, [".cl-drop", text, "dropped.png"])
    tab.get_by_text("dropped.png: 70 × 50 pixels.").wait_for()
    # Beside the zone too: else the browser would leave the page and show the file.
    tab.evaluate(DROP, [".cl-bars", text, "beside.png"])
    tab.get_by_text("beside.png: 70 × 50 pixels.").wait_for()
    tab.evaluate(PASTE, [text, "image.png"])
    tab.get_by_text("pasted picture: 70 × 50 pixels.").wait_for()
    tab.evaluate(DROP, [".cl-drop", "some text", ""])
    assert said(tab, "no file") == "That was no file. Save the picture first, then drop the file."
    tab.get_by_role("button", name="sample 1").focus()
    tab.evaluate(PASTE, ["", ""])
    assert said(tab, "clipboard") == "There is no picture on the clipboard."


def test_the_keyboard_reaches_everything_in_order(opened, site):
    tab = opened(f"{site}/index.html")
    names = "e => (e.labels?.[0] ?? e).textContent.trim() || e.querySelector('img').alt"
    reached = []
    for _ in range(5):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate(f"({names})(document.activeElement)"))
    assert reached == [
        "Drop or paste a picture here, or press to choose one",
        *("Picture file", "Use the camera", "sample 1", "sample 2"),
    ]
    tab.keyboard.press("Enter")
    said(tab, " ms")
    tab.get_by_text("sample 2: 60 × 40").wait_for()
    assert tab.evaluate(f"({names})(document.activeElement)") == "sample 2"  # focus stays
    for name in ("Drop or paste a picture", "Picture file"):
        with tab.expect_file_chooser() as chosen:
            tab.get_by_role("button", name=name).press("Enter")
        chosen.value.set_files(file(f"{name[0]}.png", png(NOISE)))
        tab.get_by_text(f"{name[0]}.png: 70 × 50").wait_for()


def test_only_the_last_picture_is_shown(opened, site):
    """The first is large, so it is ready after the second."""
    tab = opened(f"{site}/index.html")
    tab.get_by_role("button", name="sample 1").click()
    said(tab, " ms")
    give(tab, "large.png", png(np.zeros((4000, 4000, 3), np.uint8)))
    tab.get_by_role("button", name="sample 2").click()
    tab.get_by_text("sample 2: 60 × 40").wait_for()
    tab.wait_for_timeout(1_500)
    assert "sample 2" in tab.locator(".cl-note").first.text_content()


# --- the camera -------------------------------------------------------------------------------


def test_the_camera_gives_a_picture_and_is_closed_again(opened, site):
    tab = opened(f"{site}/index.html", camera=True)
    tab.get_by_role("button", name="Use the camera").click()
    said(tab, "The camera is on.")
    shoot = tab.get_by_role("button", name="Take the picture")
    assert shoot.evaluate("e => e === document.activeElement")
    shoot.press("Enter")
    tab.get_by_text("camera: 640 × 480 pixels.").wait_for()
    tab.get_by_role("button", name="Close the camera").press("Enter")
    said(tab, "The camera is off.")
    assert tab.locator("video").evaluate("v => v.srcObject") is None
    assert tab.get_by_role("button", name="Use the camera").is_visible()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("", "The camera was refused. Allow it in the browser's settings"),
        (
            "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });",
            "There is no camera here: a browser offers one on https pages and on localhost only.",
        ),
        (
            "navigator.mediaDevices.getUserMedia = async () => "
            "{ throw new DOMException('', 'NotFoundError'); };",
            "No camera was found; take a file.",
        ),
    ],
    ids=["refused", "no https", "none"],
)
def test_without_a_camera_one_line_says_so(opened, site, script, words):
    tab = opened(f"{site}/index.html", script=script)
    tab.get_by_role("button", name="Use the camera").click()
    assert words in said(tab, words)
    assert tab.locator("video").is_hidden()


# --- what is no picture -----------------------------------------------------------------------


def png_head(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + end

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


JPEG = saved(Image.fromarray(NOISE), "JPEG")
WEBP = saved(Image.new("RGB", (12_000, 3)), "WEBP")
TOO_LARGE = "pixels, and 10000 a side is the most: shrink it first."
CONVERT = "PNG, JPEG and WebP can be read: convert it first."
WRONG = {
    "notes.txt": (b"this is text", f"notes.txt is no picture; {CONVERT}"),
    "empty.png": (b"", "empty.png is empty: give a PNG, JPEG or WebP picture."),
    "tiny.png": (b"\x89PNG\r\n\x1a\n", "tiny.png cannot be read as a picture: is it complete?"),
    "cut.png": (png(NOISE)[:300], "cut.png cannot be read as a picture: is it complete?"),
    "hollow.png": (png_head(100, 100), "hollow.png cannot be read as a picture: is it"),
    "wide.png": (png_head(30_000, 20), f"wide.png is 30000 × 20 {TOO_LARGE}"),
    "huge.png": (png_head(2**31 - 1, 2**31 - 1), f"is 2147483647 × 2147483647 {TOO_LARGE}"),
    "wide.webp": (WEBP, f"wide.webp is 12000 × 3 {TOO_LARGE}"),
    "wide.jpg": (saved(Image.new("RGB", (30_000, 1)), "JPEG"), f"is 30000 × 1 {TOO_LARGE}"),
    "cut.jpg": (JPEG[:50], "cut.jpg cannot be read as a picture: is it complete?"),
    "loop.jpg": (b"\xff\xd8" + b"\xff\xe0\0\0" * 9, "loop.jpg cannot be read as a picture"),
    "cat.gif": (saved(Image.new("RGB", (4, 4)), "GIF"), f"cat.gif is a GIF; {CONVERT}"),
    "GIF in disguise.png": (saved(Image.new("RGB", (4, 4)), "GIF"), "disguise.png is a GIF;"),
    "cat.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', f"cat.svg is an SVG; {CONVERT}"),
    "cat.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", f"cat.heic is a HEIC; {CONVERT}"),
    "cat.avif": (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", f"cat.avif is an AVIF; {CONVERT}"),
    "cat.bmp": (saved(Image.new("RGB", (4, 4)), "BMP"), "cat.bmp is a BMP;"),
    "cat.tif": (saved(Image.new("RGB", (4, 4)), "TIFF"), "cat.tif is a TIFF;"),
    "cat.pdf": (b"%PDF-1.7", "cat.pdf is a PDF;"),
    "<b>.txt": (b"text", "<b>.txt is no picture;"),
}


def test_what_is_no_picture_is_one_line_and_no_error(opened, site):
    tab = opened(f"{site}/index.html")
    for name, (content, words) in WRONG.items():
        give(tab, name, content)
        line = said(tab, words)
        assert "\n" not in line
        assert tab.locator(".cl-status.cl-wrong").count() == 1
        assert tab.locator("[data-cl=result]").is_hidden(), name
    give(tab, "good.png", png(NOISE))  # nothing of it stays
    said(tab, " ms")
    assert tab.locator(".cl-status.cl-wrong").count() == 0


def turned() -> bytes:
    picture = Image.fromarray(NOISE)
    exif = picture.getexif()
    exif[0x0112] = 6
    return saved(picture, "JPEG", exif=exif)


CLEAR = Image.fromarray(np.dstack([NOISE, np.zeros((50, 70), np.uint8)]))
GOOD = {
    "turned.jpg": (turned(), "turned.jpg: 50 × 70 pixels."),
    "progressive.jpg": (saved(Image.fromarray(NOISE), "JPEG", progressive=True), "70 × 50"),
    "lossy.webp": (saved(Image.fromarray(NOISE), "WEBP"), "lossy.webp: 70 × 50 pixels."),
    "exact.webp": (saved(Image.fromarray(NOISE), "WEBP", lossless=True), "exact.webp: 70 × 50"),
    "clear.webp": (saved(CLEAR, "WEBP"), "clear.webp: 70 × 50"),
    "grey.png": (saved(Image.new("L", (9, 9), 7), "PNG"), "grey.png: 9 × 9"),
    "point.png": (saved(Image.new("RGB", (1, 1)), "PNG"), "point.png: 1 × 1"),
    "thin.png": (saved(Image.new("RGB", (9_000, 1)), "PNG"), "thin.png: 9000 × 1 pixels."),
    "large.jpg": (
        saved(Image.new("RGB", (3_000, 2_000)), "JPEG"),
        "large.jpg: 3000 × 2000 pixels, shrunk by this page to 768 × 512.",
    ),
    "clear.png": (saved(CLEAR, "PNG"), "clear.png: 70 × 50"),
}


def test_every_usual_picture_is_taken(opened, site, exported):
    tab = opened(f"{site}/index.html")
    for name, (content, words) in GOOD.items():
        give(tab, name, content)
        tab.get_by_text(words).wait_for()
    # The last one is all clear, and so white.
    white = runner(any_size(exported))(np.full((50, 70, 3), 255, np.uint8))
    np.testing.assert_allclose(probabilities(tab), white.probabilities, atol=1e-4)


# --- for everyone -----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_s_window_and_axe(opened, site, scheme):
    tab = opened(f"{site}/index.html", color_scheme=scheme, reduced_motion="reduce", **PHONE)
    too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

    def check() -> None:
        assert tab.evaluate(too_wide) <= 0
        found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        assert [(v["id"], [n["html"][:120] for n in v["nodes"][:3]]) for v in found] == []

    if not AXE.is_file():
        pytest.skip("no axe-core; `make setup` fetches it")
    tab.evaluate(AXE.read_text())
    check()
    give(tab, "a name that is long " * 8 + ".txt", b"no picture")
    said(tab, "is no picture")
    check()
    tab.get_by_role("button", name="sample 1").click()
    said(tab, " ms")
    check()
    moves = "getComputedStyle(document.querySelector('.cl-bar'), '::before').transitionDuration"
    assert tab.evaluate(moves) == "0s"
    below = "(c => c[1].getBoundingClientRect().top - c[0].getBoundingClientRect().top)"
    assert tab.evaluate(f"{below}(document.querySelectorAll('.cl-picture'))") == 0  # side by side


def test_a_network_that_cannot_be_fetched_is_one_line(chrome, exported, runtime_folder, tmp_path):
    demo.write_folder(exported, tmp_path, runtime=runtime_folder)
    model = tmp_path / "model.onnx"
    written = model.stat()
    model.write_bytes(b"damaged")
    os.utime(model, ns=(written.st_atime_ns, written.st_mtime_ns))
    with chromium.served(tmp_path) as address:
        tab = chrome.new_page()
        tab.set_default_timeout(120_000)
        tab.goto(f"{address}/index.html")
        tab.locator(".cl-drop").wait_for()  # its script is there: what is given before is lost
        give(tab, "noise.png", png(NOISE))
        assert "\n" not in said(tab, "The network cannot run here (")
        model.write_bytes(any_size(exported))  # and it tries again, past the browser's cache:
        os.utime(model, ns=(written.st_atime_ns, written.st_mtime_ns))  # "not modified"
        give(tab, "noise.png", png(NOISE))
        said(tab, " ms")
        tab.close()


def test_a_page_without_its_files_says_what_to_do(chrome, exported, runtime_folder, tmp_path):
    """As when the page is opened by a double click."""
    demo.write_folder(exported, tmp_path, runtime=runtime_folder)
    tab = chrome.new_page()
    tab.goto((tmp_path / "index.html").as_uri())
    tab.get_by_text("this page was opened as a file").wait_for(timeout=120_000)
    assert tab.get_by_text("The demo's files are not here.").is_hidden()
    assert tab.locator(".cl-drop").is_hidden()
    tab.close()


# --- the same answers as Python ---------------------------------------------------------------

CLASSIFY = """async (pictures) => {
  const { load } = await import(new URL("classifier.mjs", document.baseURI).href);
  const at = (path) => new URL(path, document.baseURI).href;
  const classify = await load({ ort: at("ort/"), model: at("model.onnx") });
  const found = [];
  for (const text of pictures) {
    const rgb = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    found.push([...(await classify({ width: 32, height: 32, rgb })).probabilities]);
  }
  return found;
}"""


def pictures() -> np.ndarray:
    """200 test images, or drawings where the data is missing, (200, 32, 32, 3)."""
    from cifar_lessons.data.cifar import load_or_synthetic

    data = load_or_synthetic("cifar10")
    if not data.synthetic:
        return as_pixels(data.test.images[:200])
    return np.concatenate([draw(kind, 25) for kind in KINDS]).transpose(0, 2, 3, 1)


def test_200_pictures_get_python_s_answer(opened, runtime_folder, tmp_path):
    run = shipped.run()
    if run is None:
        pytest.skip(shipped.missing())
    made, given = shipped.exported(run), np.ascontiguousarray(pictures())
    demo.write_folder(made, tmp_path, runtime=runtime_folder)
    with chromium.served(tmp_path) as address:
        sent = [base64.b64encode(p.tobytes()).decode() for p in given]
        there = np.array(opened(f"{address}/index.html").evaluate(CLASSIFY, sent))
    ask = runner(any_size(made))
    here = np.stack([ask(p).probabilities for p in given])
    same = int((there.argmax(1) == here.argmax(1)).sum())
    message = f"{same} of 200 the same, a probability differs by {np.abs(there - here).max():.1e}"
    print(message)
    assert same == 200, message
    assert np.abs(there - here).max() < 1e-4, message
