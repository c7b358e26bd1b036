"""Mirrors cifar_lessons/serving/uploads.py: what cannot be used gets a 4xx that says why."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cifar_lessons.data.picture import read_picture
from cifar_lessons.serving.uploads import Limits, Refused, to_pixels

from .conftest import form, picture

LIMITS = Limits(most_bytes=50_000, most_pixels=300_000, seconds=20)


@pytest.fixture(scope="module")
def server(request, model):
    """One server for all of them: it must live through every one."""
    generator = request.getfixturevalue("_module_serving")
    return generator(LIMITS)


@pytest.fixture(scope="module")
def _module_serving(model):
    from .conftest import serving

    yield from serving.__wrapped__(model)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, *, body: bytes = b"") -> bytes:
    """A PNG whose head claims a size, whatever follows."""

    def chunk(name: bytes, content: bytes) -> bytes:
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


GOOD = picture()
JPEG = picture(kind="JPEG")
SMALL = Image.new("RGB", (40, 40), "red")
FORM, KIND = form(('name="file"; filename="a.png"', GOOD))
HEAD = 'name="file"; filename="a.png"'

# name: (status, body, headers)
BAD: dict[str, tuple[int, object, dict[str, str]]] = {
    "nothing": (400, b"", {}),
    "a text": (415, b"a cat, please", {"Content_Type": "text/plain"}),
    "JSON": (415, b'{"image": "cat.png"}', {"Content_Type": "application/json"}),
    "HTML": (415, b"<html><img src=cat.png></html>", {}),
    "an SVG": (415, b'<svg xmlns="http://www.w3.org/2000/svg"/>', {"Content_Type": "image/svg"}),
    "a GIF": (415, saved(SMALL, "GIF"), {"Content_Type": "image/gif"}),
    "a BMP": (415, saved(SMALL, "BMP"), {}),
    "a TIFF": (415, saved(SMALL, "TIFF"), {}),
    "an icon": (415, saved(SMALL, "ICO"), {}),
    "a GIF that says PNG": (415, saved(SMALL, "GIF"), {"Content_Type": "image/png"}),
    "a PDF": (415, b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", {}),
    "a ZIP": (415, b"PK\x03\x04" + bytes(60), {}),
    "a gzip of a PNG": (415, zlib.compress(GOOD), {"Content_Encoding": "deflate"}),
    "base64": (415, b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ", {}),
    "zeros": (415, bytes(1_000), {}),
    "one byte": (415, b"\x89", {}),
    "a PNG's first bytes": (415, GOOD[:12], {}),
    "a PNG cut short": (422, GOOD[: len(GOOD) // 2], {}),
    "a JPEG cut short": (422, picture(size=(200, 200), kind="JPEG")[:-100], {}),
    "a PNG of noise": (422, GOOD[:60] + b"\x00" * 40 + GOOD[100:], {}),
    "a PNG without pixels": (422, png(8, 8), {}),
    "a PNG of no height": (415, png(8, 0), {}),
    "more pixels than allowed": (413, saved(Image.new("1", (1_000, 301)), "PNG"), {}),
    "a head that claims a square of 10,000": (413, png(10_000, 10_000), {}),
    "a head that claims far more": (413, png(1_000_000, 1_000_000), {}),
    "one side too long": (413, png(20_000, 1), {}),
    "more bytes than allowed": (413, GOOD + bytes(50_000), {}),
    "more bytes than allowed, in pieces": (413, (bytes(10_000) for _ in range(6)), {}),
    "a form without a boundary": (400, FORM, {"Content_Type": "multipart/form-data"}),
    "a form with another boundary": (
        400, FORM, {"Content_Type": "multipart/form-data; boundary=other"},
    ),
    "a form that is none": (400, GOOD, {"Content_Type": KIND}),
    "a form without a file": (400, form(('name="file"', b"a.png"))[0], {"Content_Type": KIND}),
    "a form with two files": (400, form((HEAD, GOOD), (HEAD, GOOD))[0], {"Content_Type": KIND}),
    "a form with an empty file": (400, form((HEAD, b""))[0], {"Content_Type": KIND}),
    "a form with a text": (415, form((HEAD, b"a cat"))[0], {"Content_Type": KIND}),
    "a form of many fields": (
        400, form(*[(f'name="f{k}"', b"x") for k in range(40)])[0], {"Content_Type": KIND},
    ),
    "a form cut short": (400, FORM[:80], {"Content_Type": KIND}),
}  # fmt: skip


def test_there_are_thirty_kinds():
    assert len(BAD) >= 30


@pytest.mark.parametrize("name", BAD)
def test_a_bad_upload_gets_a_4xx_that_says_why(server, name):
    status, body, headers = BAD[name]
    answer = server.post(body, **headers)
    assert answer.status == status, answer.content
    why = answer.json["error"]
    assert why
    assert "\n" not in why
    assert "Traceback" not in why


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/predict", 405), ("PUT", "/predict", 405), ("DELETE", "/predict", 405),
    ("POST", "/", 404), ("GET", "/docs", 404), ("POST", "/health", 405),
])  # fmt: skip
def test_another_path_or_method_gets_a_4xx_too(server, method, path, status):
    answer = server.ask(method, path, GOOD if method != "GET" else None)
    assert answer.status == status
    assert answer.json["error"]


@pytest.mark.parametrize("line", [b"NONSENSE\r\n\r\n", b"POST /predict HTTP/1.1\r\n: x\r\n\r\n"])
def test_what_is_no_http_gets_a_400(server, line):
    import socket

    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(line)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("body", [GOOD, JPEG, picture(size=(9, 200))], ids=["PNG", "JPEG", "tall"])
@pytest.mark.parametrize("way", ["body", "form", "odd type"])
def test_after_all_that_a_good_picture_is_answered_however_it_is_sent(server, body, way):
    if way == "form":
        content, kind = form(('name="note"', b"hello"), (HEAD, body))
        answer = server.post(content, Content_Type=kind)
    elif way == "odd type":  # what curl --data-binary says
        answer = server.post(body, Content_Type="application/x-www-form-urlencoded")
    else:
        answer = server.post(body, Content_Type="image/png")
    assert answer.status == 200, answer.content
    assert len(answer.json["top"]) == 5


def test_an_upload_that_never_ends_is_given_up(serving):
    import socket

    quick = serving(Limits(seconds=0.3))
    with socket.create_connection(("127.0.0.1", quick.port), timeout=30) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_pixels_are_those_that_predict_sees(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(GOOD)
    pixels, done = to_pixels(GOOD, LIMITS)
    wanted, told = read_picture(path)
    np.testing.assert_array_equal(pixels, wanted.permute(1, 2, 0))
    assert done == told
    with pytest.raises(Refused) as caught:
        to_pixels(GOOD, Limits(most_pixels=100))
    assert caught.value.status == 413
