"""A server on this machine around a small exported network, and what is posted to it."""

import http.client
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cifar_lessons.config import DataConfig
from cifar_lessons.models import build_model

pytest.importorskip("onnxruntime")
pytest.importorskip("fastapi")

from cifar_lessons.deploy.export import export
from cifar_lessons.deploy.model_file import About, ModelFile
from cifar_lessons.serving.app import build_app
from cifar_lessons.serving.command import listen, run
from cifar_lessons.serving.uploads import Limits

CLASSES = tuple(f"class {k}" for k in range(10))


@dataclass(frozen=True)
class Reply:
    """What a server said."""

    status: int
    content: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Server:
    """A server in a thread of this process."""

    app: Any
    port: int
    threads: list[threading.Thread] = field(default_factory=list)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            connection.close()

    def post(self, body: Any, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/predict", body, named)

    def end(self) -> None:
        self.app.state.server.should_exit = True
        for thread in self.threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture(scope="session")
def model() -> ModelFile:
    """A network whose answers differ from picture to picture."""
    torch.manual_seed(0)
    network = build_model("resnet18", width=2).eval()
    with torch.no_grad():
        network.head.weight.mul_(300)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    about = About("small seed0", CLASSES, "f" * 64, "fp32", 0.5, scored_on="validation")
    made, _ = export(network, DataConfig(), about=about, images=images)
    return made


@pytest.fixture
def serving(model) -> Iterator[Callable[..., Server]]:
    """Return `(limits, change=None, **options) -> a server that runs`."""
    started: list[Server] = []

    def start(
        limits: Limits | None = None, change: Callable[[Any], None] | None = None, **options: Any
    ) -> Server:
        limits = limits or Limits()
        app = build_app(model, limits, **options)
        if change:
            change(app)
        listening = listen("127.0.0.1", 0)
        server = Server(app, listening.getsockname()[1])
        thread = threading.Thread(
            target=run, args=(app, listening), kwargs={"seconds": limits.seconds}
        )
        thread.start()
        server.threads.append(thread)
        started.append(server)
        end = time.monotonic() + 30
        while not getattr(getattr(app.state, "server", None), "started", False):
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.01)
        return server

    yield start
    for server in started:
        server.end()


def picture(seed: int = 0, size: tuple[int, int] = (40, 32), kind: str = "PNG") -> bytes:
    """A picture of its own for each seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size).save(buffer, kind)
    return buffer.getvalue()


def form(*parts: tuple[str, bytes], boundary: str = "cut") -> tuple[bytes, str]:
    """Return body and content type of a form whose parts are (head, content)."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for head, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
