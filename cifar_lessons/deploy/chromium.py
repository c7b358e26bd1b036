"""A headless Chromium that sees one folder of this machine and nothing else, driven by Playwright.

For what must be measured in a browser, and for the tests of pages.
"""

import contextlib
import functools
import shutil
import threading
from collections.abc import Iterator, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cifar_lessons.errors import UserError

NAMES = ("chromium", "chromium-browser", "google-chrome")
# No sandbox, since containers run this as root; the rest keeps the browser from calling home.
FLAGS = (
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
)
HERE = "127.0.0.1"


def find() -> str | None:
    """Return the path of a Chromium on this machine, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def launched(extra: Sequence[str] = ()) -> Iterator[Any]:
    """Start a Chromium; gives Playwright's browser, and ends it with the block.

    Args:
        extra: More flags.

    Raises:
        UserError: Chromium or Playwright is not installed.
    """
    path = find()
    if path is None:
        raise UserError("a Chromium is needed; on Debian, `apt-get install chromium`")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise UserError(
            "playwright, which drives the browser, is not installed: `pip install playwright`"
        ) from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *extra])
        try:
            yield browser
        finally:
            browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files as `python -m http.server` does, without a line for each request."""

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; gives its address, without a slash at the end."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer((HERE, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{HERE}:{server.server_address[1]}"
        finally:
            server.shutdown()


def cut_off(context: Any, trouble: list[str]) -> None:
    """Let the tabs of a browser context ask this machine alone; what they ask others is noted.

    Args:
        context: Of Playwright.
        trouble: Gets a line for each request to another machine.
    """

    def guard(route: Any) -> None:
        if urlsplit(route.request.url).hostname == HERE:
            route.continue_()
        else:
            trouble.append(f"asked for {route.request.url}")
            route.abort()

    context.route("**/*", guard)


def watch(tab: Any, trouble: list[str]) -> None:
    """Note every error of a tab: of its console, of its scripts, and of what it asked for."""
    tab.on("console", lambda m: trouble.append(f"console: {m.text}") if m.type == "error" else None)
    tab.on("pageerror", lambda error: trouble.append(f"script: {error}"))
    tab.on(
        "response",
        lambda r: trouble.append(f"{r.status} {r.url}") if r.status >= 400 else None,
    )
