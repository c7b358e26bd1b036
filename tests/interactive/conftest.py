"""A browser tab with no page in it, for tests of HTML that needs no server."""

from collections.abc import Iterator
from typing import Any

import pytest
from browser import CHROMIUM, FLAGS


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """An empty tab; the test fails if a script of its page does, or asks for anything."""
    page = chromium.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(f"script: {error}"))
    page.on("request", lambda r: r.url.startswith("http") and trouble.append(f"asked {r.url}"))
    yield page
    page.close()
    assert trouble == []
