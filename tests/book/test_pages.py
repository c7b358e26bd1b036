"""Proves that the rendered pages are whole, work offline, and can be used by everyone.

Run `make book` first. The first half reads the files; the second opens every page in a browser.
"""

import functools
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from browser import CHROMIUM, FLAGS, needs_browser
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
PAGES = sorted(
    p.relative_to(HTML).as_posix() for p in HTML.glob("**/*.html") if "_static" not in p.parts
)
pytestmark = pytest.mark.skipif(not PAGES, reason="no rendered book; `make book` makes it")
each_page = pytest.mark.parametrize("page", PAGES)


# --- The files -----------------------------------------------------------------------------


@functools.cache
def read(page: str) -> BeautifulSoup:
    return BeautifulSoup((HTML / page).read_text(encoding="utf-8"), "html.parser")


@functools.cache
def anchors(page: str) -> frozenset[str]:
    return frozenset(t["id"] for t in read(page).find_all(id=True))


def loaded(soup: BeautifulSoup) -> Iterator[str]:
    """Yield the address of each thing that the page loads by itself; links are only offered."""
    for tag in soup.find_all(["script", "img", "iframe", "source", "video", "audio", "embed"]):
        yield from (tag[a] for a in ("src", "poster") if tag.get(a))
    for tag in soup.find_all("link"):
        if set(tag.get("rel", [])) & {
            "stylesheet",
            "preload",
            "icon",
            "modulepreload",
            "preconnect",
        }:
            yield tag["href"]


@each_page
def test_nothing_is_loaded_from_elsewhere(page):
    outside = [a for a in loaded(read(page)) if urlsplit(a).netloc]
    assert outside == []


@each_page
def test_every_link_within_the_book_leads_somewhere(page):
    soup = read(page)
    addresses = {t["href"] for t in soup.find_all("a", href=True)} | set(loaded(soup))
    broken = []
    for address in sorted(addresses):
        path, anchor = urldefrag(address)
        if urlsplit(address).scheme or address == "#":
            continue
        target = (HTML / page).parent / unquote(urlsplit(path).path) if path else HTML / page
        if not target.is_file():
            broken.append(f"{address}: no such file")
        elif anchor and target.suffix == ".html":
            name = target.resolve().relative_to(HTML.resolve()).as_posix()
            if unquote(anchor) not in anchors(name):
                broken.append(f"{address}: no such place on that page")
    assert broken == []


@each_page
def test_every_image_says_what_it_shows(page):
    wordless = [
        str(image.get("src"))[:80]
        for image in read(page).find_all("img")
        # A file's name is what MyST-NB puts where a notebook gives no alt text.
        if len(image.get("alt", "").split()) < 2 or re.search(r"\.\w{3,4}$", image["alt"])
    ]
    assert wordless == []


@each_page
def test_outputs_hold_no_error_warning_or_ladder_of_progress_bars(page):
    text = "\n".join(o.get_text() for o in read(page).select(".cell_output"))
    assert "Traceback (most recent call last)" not in text
    assert re.findall(r"\w*Warning: .*", text) == []
    assert re.findall(r"\d+%\|.*", text) == []


def test_every_chapter_shows_its_outputs():
    """A notebook that was not executed would pass all the tests above."""
    for notebook in (ROOT / "book").glob("*.ipynb"):
        assert read(f"{notebook.stem}.html").select(".cell_output"), notebook.name


def test_every_claim_leads_to_its_chapter_and_back():
    rows = read("claims.html").select(".cl-filtered tbody tr")
    assert len(rows) == 21
    for row in rows:
        place = row.th.span["id"]
        page, _, anchor = row.find_all("td")[-1].a["href"].partition("#")
        (spot,) = read(page).find_all(id=anchor)
        # In the chapter, the claim stands in the same section as the table that leads back.
        section = spot.find_parent("section")
        back = {a["href"] for a in section.find_all("a", href=True)}
        assert f"claims.html#{place}" in back, f"{row.th.text} in {page}"


def test_the_first_page_shows_results_first_and_the_way_to_the_demo():
    page = read("index.html").find("article")
    section = page.find("section")
    before = [image for image in page.find_all("img") if image.find_previous("h2") is None]
    assert len(before) == 2  # accuracy for its cost, and how the claims fared
    assert "claims: " in section.find("h2").find_previous("p").find_parent("section").text
    links = {a["href"].partition("#")[0] for a in page.find_all("a", href=True)}
    assert {"12b_browser.html", "01_data.html", "claims.html", "recording.html"} <= links


@pytest.mark.parametrize("page", ["index.html", "02_first_cnn.html", "12_deployment.html"])
def test_no_term_is_linked_twice_unless_by_hand_and_many_are_linked(page):
    links = [
        a["href"]
        for a in read(page).select("a.reference:has(> .std-term)")
        if "#term-" in a["href"]
    ]
    assert len(links) > 3
    by_hand = 12  # at most so many words are marked twice in a chapter by its author
    assert len(links) - len(set(links)) <= by_hand


# --- A browser -----------------------------------------------------------------------------

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


class Quiet(SimpleHTTPRequestHandler):
    """Serves the book without a line for each request."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of the book on this machine."""
    handler = functools.partial(Quiet, directory=str(HTML))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(params=[("light", 1280), ("dark", 400)], ids=["light-wide", "dark-narrow"])
def opened(request, browser, site) -> Iterator[Any]:
    """A function that opens a page, and a list of all that went wrong meanwhile."""
    scheme, width = request.param
    context = browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    )
    trouble: list[str] = []

    def guard(route: Any) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            trouble.append(f"asked for {route.request.url}")
            route.abort()

    def open_page(page: str) -> Any:
        tab = context.new_page()
        tab.on("console", lambda m: m.type == "error" and trouble.append(f"console: {m.text}"))
        tab.on("pageerror", lambda e: trouble.append(f"script: {e}"))
        tab.on("response", lambda r: r.status >= 400 and trouble.append(f"{r.status} {r.url}"))
        tab.goto(f"{site}/{page}", wait_until="networkidle")
        return tab

    context.route("**/*", guard)
    yield open_page, trouble
    context.close()


@needs_browser
@each_page
def test_page_in_a_browser(page, opened):
    open_page, trouble = opened
    tab = open_page(page)
    assert trouble == []

    formulas = tab.locator(".math").count()
    assert tab.locator("mjx-container").count() >= formulas, "formulas that were not set"
    assert tab.locator("mjx-merror").count() == 0, "formulas with an error in them"

    widgets = tab.locator('script[type="application/vnd.jupyter.widget-view+json"]').count()
    assert tab.locator(".jupyter-widgets").count() >= widgets, "widgets that were not drawn"

    too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert tab.evaluate(too_wide) <= 0, "the page scrolls sideways"

    tab.evaluate(AXE.read_text())
    found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(v["id"], [n["html"][:120] for n in v["nodes"][:3]]) for v in found] == []


@needs_browser
def test_search_finds_a_word(opened):
    open_page, trouble = opened
    tab = open_page("search.html?q=residual")
    tab.wait_for_selector("#search-results li a")
    assert trouble == []


@needs_browser
def test_the_ledger_can_be_filtered(opened):
    open_page, trouble = opened
    tab = open_page("claims.html")
    root = tab.locator(".cl-filtered")
    rows = root.locator("tbody tr")
    assert rows.count() == 21
    corrected = root.get_by_label("Verdict").locator("option", has_text="corrected (")
    number = int(re.sub(r"\D", "", corrected.text_content()))
    root.get_by_label("Verdict").select_option("corrected")
    assert root.locator("tbody tr:visible").count() == number > 0
    assert root.get_by_role("status").text_content() == f"{number} of 21 claims are shown."
    root.get_by_role("button").click()
    root.get_by_label("Words").press_sequentially("cats dogs")
    assert root.locator("tbody tr:visible th").all_text_contents() == [
        "C12 Cats and dogs are 8 % below automobiles"
    ]
    root.locator("tbody tr:visible th a").click()
    assert tab.locator("#claim-c12").count() == 1
    assert trouble == []


@needs_browser
def test_the_explorer_of_mistakes_can_be_filtered_by_keyboard(opened):
    open_page, trouble = opened
    tab = open_page("08_evaluation.html")
    root = tab.locator(".cl-explorer")
    tiles = root.locator(".cl-tiles button")
    assert tiles.count() > 0
    before = root.get_by_role("status").text_content()
    root.get_by_label("Labelled").focus()
    tab.keyboard.press("ArrowDown")
    chosen = root.get_by_label("Labelled").locator("option:checked").text_content()
    assert root.get_by_role("status").text_content() != before
    assert all(words.startswith(f"{chosen}, called ") for words in tiles.all_text_contents())
    tiles.first.press("Enter")
    assert "What each network says:" in root.locator(".cl-detail").text_content()
    assert tiles.first.get_attribute("aria-pressed") == "true"
    size = len(tab.content())
    assert size < 4_000_000, f"{size:,} characters are too many for one page"
    assert trouble == []


@needs_browser
def test_the_temperature_moves_the_diagram_without_a_kernel(opened):
    open_page, trouble = opened
    tab = open_page("08_evaluation.html")
    picture = tab.locator(".jupyter-widgets img:visible")
    assert "at temperature 1:" in picture.get_attribute("alt")
    handle = tab.locator(".jupyter-widgets .noUi-handle")
    assert handle.get_attribute("aria-label") == "temperature"
    handle.press("ArrowRight")
    assert "at temperature 1.25:" in picture.get_attribute("alt")
    assert trouble == []


@needs_browser
def test_the_demo_answers_and_no_other_page_loads_it(opened):
    open_page, trouble = opened
    tab = open_page("12b_browser.html")
    loaded = "performance.getEntriesByType('resource').map(e => e.name)"
    assert not [a for a in tab.evaluate(loaded) if "/ort/" in a or a.endswith(".onnx")]
    sample = tab.locator("[data-cl=sample]").first
    if not sample.count():
        pytest.skip("its network is not recorded")
    sample.press("Enter")
    tab.locator("[data-cl=result]").wait_for(timeout=60_000)
    assert tab.locator(".cl-bars li").count() == 5
    assert "%" in tab.locator("[data-cl=status]").text_content()
    assert "looked less familiar" in tab.locator("[data-cl=familiar]").text_content()
    for page in ("index.html", "08_evaluation.html"):
        addresses = open_page(page).evaluate(loaded)
        assert not [a for a in addresses if "/demo/" in a or "/ort/" in a or a.endswith(".onnx")]
    assert trouble == []
