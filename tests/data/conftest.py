"""A made-up data set in the official layout, and a web server on loopback that can misbehave."""

import dataclasses
import hashlib
import io
import os
import pickle
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cifar_lessons.data.download import Patience
from cifar_lessons.data.official import Archive

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
COUNTS = {"test": 20, "train": 40}


@pytest.fixture(autouse=True)
def _no_proxy_and_no_mirrors(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("CIFAR_LESSONS_MIRRORS", raising=False)


@pytest.fixture
def quick() -> Patience:
    """Tries as in earnest, and hardly a wait between them."""
    return Patience(tries=4, progress=100_000, first_wait=0.01, longest_wait=0.02, stall=20)


# --- the data set -----------------------------------------------------------------------------


class Bomb:
    """Leaves a folder behind if it is ever unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@dataclasses.dataclass
class MadeUp:
    """An archive, its bytes, and what is in it."""

    archive: Archive
    raw: bytes  # the archive's
    files: dict[str, bytes]  # by name in the archive's folder
    splits: dict[str, tuple[np.ndarray, np.ndarray]]
    exploded: Path  # exists if something was unpickled

    def with_raw(self, raw: bytes) -> Archive:
        """Return the archive as if these bytes were the published ones."""
        return dataclasses.replace(self.archive, size=len(raw), md5=md5(raw))


def md5(raw: bytes) -> str:
    return hashlib.md5(raw).hexdigest()


def tar_of(members: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info)
    return buffer.getvalue()


@pytest.fixture
def pack() -> Callable[..., bytes]:
    return tar_of


def digest_by_hand(images: np.ndarray, labels: np.ndarray) -> str:
    """The definition of DESIGN, one byte string at a time: slow, and plainly right."""
    hashes = []
    for image, label in zip(images, labels, strict=True):
        pixels = b"".join(
            bytes([image[c, y, x] for c in range(3)]) for y in range(32) for x in range(32)
        )
        hashes.append(hashlib.sha256(pixels + bytes([label])).hexdigest())
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()


@pytest.fixture(scope="session")
def by_hand() -> Callable[..., str]:
    return digest_by_hand


@pytest.fixture(scope="session")
def made_up_splits() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    splits = {
        split: (rng.integers(0, 256, (n, 3, 32, 32), np.uint8), np.arange(n) % 10)
        for split, n in COUNTS.items()
    }
    for images, labels in splits.values():
        images.flags.writeable = labels.flags.writeable = False  # shared by all tests
    return splits


@pytest.fixture(scope="session")
def made_up_digests(made_up_splits) -> dict[str, str]:
    return {split: digest_by_hand(*arrays) for split, arrays in made_up_splits.items()}


@pytest.fixture
def made_up(tmp_path: Path, made_up_splits, made_up_digests) -> MadeUp:
    rng = np.random.default_rng(1)
    exploded = tmp_path / "exploded"
    files = {
        name: pickle.dumps((Bomb(exploded), rng.bytes(60_000)))
        for name in ("data_batch_1", "data_batch_2", "test_batch", "batches.meta")
    }
    raw = tar_of({f"cifar-10-batches-py/{name}": content for name, content in files.items()})
    archive = Archive(
        name="cifar10",
        url="http://127.0.0.1:9/official.tar.gz",  # nothing listens there
        filename="cifar-10-python.tar.gz",
        size=len(raw),
        md5=md5(raw),
        folder="cifar-10-batches-py",
        files=tuple((name, md5(content)) for name, content in files.items()),
        classes=CLASSES,
        counts=COUNTS,
        digests=made_up_digests,
        parquet_folder="plain_text",
        label_column="label",
    )
    return MadeUp(archive, raw, files, made_up_splits, exploded)


def png_of(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def parquet() -> Callable[..., bytes]:
    """Return `(images, labels, column="label") -> bytes` of a file as Hugging Face writes it."""
    pa = pytest.importorskip("pyarrow", reason="pip install 'cifar-lessons[parquet]'")
    import pyarrow.parquet as pq

    def make(images: Any, labels: Any, column: str = "label") -> bytes:
        rows = [{"bytes": i if isinstance(i, bytes) else png_of(i), "path": None} for i in images]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"img": pa.array(rows, kind), column: pa.array(labels)})
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        return buffer.getvalue()

    return make


@pytest.fixture
def png_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return `(splits) -> folder` with `<split>/<class>/<number>.png`."""

    def make(splits: dict[str, tuple[np.ndarray, np.ndarray]]) -> Path:
        root = tmp_path / "pngs"
        for split, (images, labels) in splits.items():
            for number, (image, label) in enumerate(zip(images, labels, strict=True)):
                folder = root / split / CLASSES[label]
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{number}.png").write_bytes(png_of(image))
        return root

    return make


# --- the server -------------------------------------------------------------------------------


@dataclasses.dataclass(kw_only=True)
class Answer:
    """How one request is answered; the default is what a good server does."""

    status: int | None = None  # instead of the file
    headers: dict[str, str] = dataclasses.field(default_factory=dict)  # more, or instead
    cut: int | None = None  # close after so many bytes of the body
    stall: int | None = None  # fall silent after so many bytes of the body
    trickle: bool = False  # a byte every 20 ms
    declare: int | None = None  # Content-Length, whatever the body is
    chunked: bool = False  # no Content-Length
    ranges: str = "served"  # or "ignored", "refused", "wrong"
    hold: bool = False  # wait for `server.go` before the body


@dataclasses.dataclass
class Request:
    path: str
    range: str | None
    if_range: str | None
    status: int = 0
    sent: int = 0  # bytes of the body


class Loopback:
    """The server: `files` by path, `etags`, a `plan` of answers (the last repeats), and a `log`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.log: list[Request] = []
        self.answers: list[Answer] = [Answer()]
        self.go = threading.Event()  # also set at the end, so that nobody waits for ever
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format, *args):
                pass

            def do_GET(self):
                request = Request(self.path, self.headers["Range"], self.headers["If-Range"])
                server.log.append(request)
                later = server.answers[1:]
                answer = server.answers[0]
                server.answers = later or server.answers
                server.answer(self, request, answer)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def plan(self, *answers: dict[str, Any]) -> None:
        """Answer the next requests so, and all later ones like the last."""
        self.answers = [Answer(**a) for a in answers]

    @property
    def sent(self) -> int:
        """Bytes of all bodies."""
        return sum(request.sent for request in self.log)

    def answer(self, http: BaseHTTPRequestHandler, request: Request, how: Answer) -> None:
        whole = self.files.get(request.path)
        etag = self.etags.get(request.path)
        status, headers = 200, {"Content-Type": "application/gzip"}
        start = 0
        if whole is None or how.status is not None:
            status, whole, etag = how.status or 404, whole or b"", None
            body = b"" if status >= 300 else whole
        else:
            fits = request.if_range is None or request.if_range == etag
            if request.range is not None and how.ranges != "ignored" and fits:
                start = int(request.range.removeprefix("bytes=").removesuffix("-"))
                if how.ranges == "refused" or start >= len(whole):
                    status, body = 416, b""
                    headers["Content-Range"] = f"bytes */{len(whole)}"
                else:
                    start = 0 if how.ranges == "wrong" else start
                    status, body = 206, whole[start:]
                    headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
            else:
                body = whole
        if etag is not None:
            headers["ETag"] = etag
        if how.chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(len(body) if how.declare is None else how.declare)
        http.protocol_version = "HTTP/1.1"
        http.close_connection = True
        request.status = status
        try:
            http.send_response(status)
            for name, value in {**headers, "Connection": "close", **how.headers}.items():
                http.send_header(name, value)
            http.end_headers()
            if how.hold:
                self.go.wait(60)
            self.send(http, request, how, body)
        except OSError:
            pass  # the client hung up, as it may

    def send(self, http: Any, request: Request, how: Answer, body: bytes) -> None:
        stop = min(x for x in (how.cut, how.stall, len(body)) if x is not None)
        step = 1 if how.trickle else 4096
        for at in range(0, stop, step):
            piece = body[at : min(at + step, stop)]
            if how.chunked:
                http.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            else:
                http.wfile.write(piece)
            request.sent += len(piece)
            if how.trickle and self.go.wait(0.02):
                return
        if how.stall is not None:
            self.go.wait(60)
        elif how.chunked and stop == len(body):
            http.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def server() -> Iterator[Loopback]:
    loopback = Loopback()
    thread = threading.Thread(
        target=loopback.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    yield loopback
    loopback.go.set()
    loopback.http.shutdown()
    loopback.http.server_close()
    thread.join()
