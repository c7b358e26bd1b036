"""`cifar-lessons serve`: an exported model answers over HTTP."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from cifar_lessons.errors import UserError

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

NEEDED = ("onnx", "onnxruntime", "fastapi", "uvicorn", "python_multipart", "prometheus_client")


def serve(
    model: Annotated[Positional[Path], arg(metavar="MODEL")],
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    most_mb: float = 10.0,
    most_megapixels: float = 25.0,
    seconds: float = 10.0,
    batch: int = 32,
    wait_ms: float = 2.0,
    queue: int = 64,
    threads: int = 1,
) -> None:
    """Answer over HTTP with an exported model: POST a picture, get the five likeliest classes.

    /predict takes the bytes of a PNG or JPEG as the body, or a form with one file. /health says
    which model answers, /metrics counts. Requests that come at once are answered as one batch.
    Ctrl-C and SIGTERM end it once all that was let in is answered. It knows no passwords and no
    encryption: before other machines may reach it, put a proxy before it that does.

    Example: cifar-lessons serve resnet18_w16.onnx

    Example: curl --data-binary @cat.jpg http://127.0.0.1:8000/predict

    Args:
        model: A file of `cifar-lessons export` or `finetune`.
        host: Address to listen on; 0.0.0.0 lets other machines in.
        port: Of that address; 0 takes a free one.
        most_mb: Largest upload, in megabytes.
        most_megapixels: Largest picture, width times height in millions.
        seconds: That an upload may take, and then an answer.
        batch: Most pictures in a batch.
        wait_ms: Milliseconds that a lone picture waits for company.
        queue: Most requests at once; one more gets 503 and Retry-After.
        threads: CPU threads of the engine.
    """
    _require("--port", port, 0, 65_535, 8000)
    _require("--most-mb", most_mb, 0.001, 1_000, 10)
    _require("--most-megapixels", most_megapixels, 0.001, 100, 25)
    _require("--seconds", seconds, 0.1, 3_600, 10)
    _require("--batch", batch, 1, 1_024, 32)
    _require("--wait-ms", wait_ms, 0, 1_000, 2)
    _require("--queue", queue, 1, 10_000, 64)
    _require("--threads", threads, 1, 256, 1)
    from cifar_lessons.deploy.command import require_packages

    require_packages("serve", NEEDED)
    from cifar_lessons.deploy.model_file import read_model
    from cifar_lessons.serving.app import build_app
    from cifar_lessons.serving.uploads import Limits

    found = read_model(model)
    app = build_app(
        found,
        Limits(round(most_mb * 1e6), round(most_megapixels * 1e6), seconds),
        batch=batch, wait=wait_ms / 1000, queue=queue, threads=threads,
    )  # fmt: skip
    with listen(host, port) as listening:
        address, number = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        print(
            f"{found.about.name}, {found.about.precision}, {len(found.about.classes)} classes: "
            f"POST a picture to http://{shown}:{number}/predict; Ctrl-C ends",
            flush=True,
        )
        run(app, listening, seconds=seconds)
    cut = app.state.cut_off
    print(f"ended; {cut} without an answer" if cut else "ended; all that was let in is answered")


def _require(flag: str, value: float, low: float, high: float, usual: float) -> None:
    """Raise a `UserError` unless a number is in its range; NaN is refused too."""
    if not low <= value <= high or math.isnan(value):
        raise UserError(f"{flag} must be in [{low:g}, {high:g}], got {value:g}; try {usual:g}")


def listen(host: str, port: int) -> "socket.socket":
    """Return a socket that listens.

    Raises:
        UserError: The address is none of this machine's, or taken.
    """
    import socket

    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot listen on {host}, port {port} ({reason}); try another --port or --host"
        ) from None


def run(app: "FastAPI", listening: "socket.socket", *, seconds: float) -> None:
    """Serve until SIGTERM or Ctrl-C; what was let in is answered first."""
    import contextlib
    import signal
    import threading
    from collections.abc import Iterator

    import uvicorn

    class Server(uvicorn.Server):
        """uvicorn's raises the signal again at the end; a clean end is no failure here."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Let a signal end the server, and nothing else."""
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            both = (signal.SIGTERM, signal.SIGINT)
            before = {number: signal.signal(number, self.handle_exit) for number in both}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=5,
        # Longer than any request may take.
        timeout_graceful_shutdown=math.ceil(2 * seconds) + 5,
    )
    app.state.server = server = Server(config)
    server.run(sockets=[listening])
