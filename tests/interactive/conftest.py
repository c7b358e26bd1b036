"""A browser tab with no page in it, for tests of HTML that needs no server."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def tab(chrome: Any) -> Iterator[Any]:
    """An empty tab; the test fails if a script of its page does, or asks for anything."""
    page = chrome.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(f"script: {error}"))
    page.on("request", lambda r: r.url.startswith("http") and trouble.append(f"asked {r.url}"))
    yield page
    page.close()
    assert trouble == []
