"""Proves that the rendered pages are whole, work offline, and can be used by everyone.

Run `make book` first. The first half reads the files; the second opens every page in a browser.
What was checked and found is kept in `_build/walk.json`, and by `make walk` for the status page.
"""

import functools
import io
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from browser import needs_browser
from bs4 import BeautifulSoup, Tag
from PIL import Image
from walk import rendered

from cifar_lessons.deploy import chromium

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
PAGES = rendered(HTML)
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
def test_nothing_is_loaded_from_elsewhere(page, notes):
    outside = [a for a in loaded(read(page)) if urlsplit(a).netloc]
    notes.check("nothing is loaded from elsewhere", outside)


@each_page
def test_every_link_within_the_book_leads_somewhere(page, notes):
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
    notes.check("every link within the book leads somewhere", broken)


@each_page
def test_every_image_says_what_it_shows(page, notes):
    wordless = [
        str(image.get("src"))[:80]
        for image in read(page).find_all("img")
        # A file's name is what MyST-NB puts where a notebook gives no alt text.
        if len(image.get("alt", "").split()) < 2 or re.search(r"\.\w{3,4}$", image["alt"])
    ]
    notes.check("every image says what it shows", wordless)


def blank(page: str, image: Tag) -> bool:
    """Return whether a picture that a cell drew is of one colour; a drawing of lines is not."""
    source = str(image.get("src"))
    if source.startswith("data:image/png;base64,"):
        file: Any = io.BytesIO(b64decode(source.partition(",")[2]))
    elif Path(source).suffix in (".png", ".jpg", ".jpeg") and not urlsplit(source).scheme:
        file = (HTML / page).parent / unquote(source)
    else:
        return False
    with Image.open(file) as opened:
        flat = opened.convert("RGBA")
    return all(low == high for low, high in flat.getextrema()) and min(flat.size) > 1


@each_page
def test_no_figure_and_no_output_is_empty(page, notes):
    soup = read(page)
    empty = [i["src"][:80] for i in soup.select(".cell_output img, figure img") if blank(page, i)]
    # Scripts and the containers of widgets are filled in the browser, which looks below.
    kinds = "img, svg, canvas, iframe, script, video, table, button, input"
    for output in soup.select(".cell_output > .output"):
        if not output.get_text(strip=True) and not output.select_one(kinds):
            empty.append(f"an empty output: {str(output)[:120]}")
    notes.check("no figure and no output is empty", empty)


LADDERS = {
    r"Traceback \(most recent call last\)": "a traceback",
    r"\w*Warning: .*": "a warning",
    r"\d+%\|.*|.*\d(?:it/s|s/it)\b.*": "a progress bar",
}


@each_page
def test_outputs_hold_no_error_warning_or_ladder_of_progress_bars(page, notes):
    text = "\n".join(o.get_text() for o in read(page).select(".cell_output"))
    found = [
        f"{what}: {m[0][:100]}"
        for pattern, what in LADDERS.items()
        for m in re.finditer(pattern, text)
    ]
    notes.check("outputs hold no error, no warning and no progress bar", found)


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
    inner = page.find_all("h2")  # the theme puts one before the article
    before = [image for image in page.find_all("img") if image.find_previous("h2") not in inner]
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
DESKTOP, PHONE = 1280, 400  # pixels wide
# (theme, width, what axe looks at): from one to the next a page is restyled, not loaded anew. All
# rules see both themes and both widths; how colours stand out is all that the others could change.
VIEWS: list[tuple[Any, int, dict[str, Any]]] = [
    ("light", DESKTOP, {}),
    ("dark", DESKTOP, {"runOnly": ["color-contrast"]}),
    ("dark", PHONE, {}),
    ("light", PHONE, {"runOnly": ["color-contrast"]}),
]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of the book on this machine."""
    with chromium.served(HTML) as address:
        yield address


def opener(chrome: Any, site: str, scheme: Any, width: int) -> Iterator[Any]:
    """Yield a function that opens a page, and a list of all that went wrong meanwhile."""
    context = chrome.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    )
    context.set_default_timeout(180_000)  # the machine may be busy; what is broken stays so
    trouble: list[str] = []

    def open_page(page: str) -> Any:
        tab = context.new_page()
        chromium.watch(tab, trouble)
        tab.on("websocket", lambda socket: trouble.append(f"asked for {socket.url}"))
        tab.goto(f"{site}/{page}", wait_until="networkidle")
        return tab

    chromium.cut_off(context, trouble)
    yield open_page, trouble
    context.close()


@pytest.fixture
def fresh(chrome, site) -> Iterator[Any]:
    yield from opener(chrome, site, *VIEWS[0][:2])


@pytest.fixture(params=[("light", DESKTOP), ("dark", PHONE)], ids=["light-wide", "dark-narrow"])
def opened(request, chrome, site) -> Iterator[Any]:
    yield from opener(chrome, site, *request.param)


def restyle(tab: Any, scheme: Any, width: int) -> None:
    """Show a page in another theme and at another width."""
    if tab.viewport_size["width"] != width:
        tab.set_viewport_size({"width": width, "height": 900})
        tab.wait_for_timeout(500)  # the theme waits until a window is no longer pulled
    tab.emulate_media(color_scheme=scheme)
    tab.wait_for_function("theme => document.documentElement.dataset.theme == theme", arg=scheme)
    settle(tab)


def come_to_widgets(tab: Any) -> Any:
    """Scroll to where widgets belong, since only then they are loaded; return those drawn."""
    views = tab.locator('script[type="application/vnd.jupyter.widget-view+json"]')
    if views.count():
        views.first.evaluate("view => view.parentElement.scrollIntoView()")
        tab.locator(".jupyter-widgets").first.wait_for()
    return tab.locator(".jupyter-widgets")


def settle(tab: Any) -> None:
    """Wait until nothing moves."""
    tab.evaluate("Promise.all(document.getAnimations().map(a => a.finished.catch(() => {})))")


def broken_rules(tab: Any, options: dict[str, Any]) -> tuple[str, list[tuple[str, str, str]]]:
    """Return axe's version, and (rule, impact, place) of each element that breaks one."""
    told = tab.evaluate(
        "options => axe.run(document, options)", {"resultTypes": ["violations"]} | options
    )
    return told["testEngine"]["version"], [
        (v["id"], v["impact"] or "", n["html"][:120])
        for v in told["violations"]
        for n in v["nodes"]
    ]


@needs_browser
@each_page
def test_page_in_a_browser(page, fresh, notes):
    open_page, trouble = fresh
    tab = open_page(page)
    unset = tab.locator(".math:not(:has(.katex))").count()
    wrong = tab.locator(".katex-error").all_text_contents()
    wrong += [f"{unset} are not set"] if unset > 0 else []
    notes.check("every formula is set", wrong)

    widgets = tab.locator('script[type="application/vnd.jupyter.widget-view+json"]').count()
    undrawn = widgets - come_to_widgets(tab).count()
    notes.check("every widget is drawn", [f"{undrawn} are not"] if undrawn > 0 else [])

    missing = "[...document.images].filter(i => i.complete && !i.naturalWidth && i.src)"
    notes.check("every image is drawn", tab.evaluate(f"{missing}.map(i => i.src.slice(0, 120))"))

    tab.keyboard.press("Tab")
    settle(tab)
    first = tab.evaluate(
        "[document.activeElement.getAttribute('href'), "
        "document.activeElement.getBoundingClientRect().top >= 0]"
    )
    skips = first == ["#main-content", True]
    notes.check("the first key Tab offers to skip to the text", [] if skips else [first])
    tab.evaluate("document.activeElement.blur()")

    tab.evaluate(AXE.read_text("utf-8"))
    for scheme, width, options in VIEWS:
        restyle(tab, scheme, width)
        view = f"{scheme}, {width} px"
        too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        wide = tab.evaluate(too_wide)
        notes.check(
            "the page does not scroll sideways", [f"by {wide} px"] if wide > 0 else [], view=view
        )
        version, broken = broken_rules(tab, options)
        for rule, impact, place in broken:
            notes.check("axe", [place], view=view, rule=rule, impact=impact)
        notes.check("axe", [])
    asked = "asks no other server, and the console shows no error"
    notes.check(asked, trouble)
    notes.about = {
        "browser": f"Chromium {tab.context.browser.version}",
        "axe": version,
        "views": [f"{scheme}, {width} px" for scheme, width, _ in VIEWS],
    }


WITH_CONTROLS = ("index.html", "claims.html", "08_evaluation.html", "12b_browser.html")
# What has the focus: whether it had it before, what it is, and whether one can see that.
FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const shown = (x) => {
    const s = getComputedStyle(x);
    return (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none";
  };
  window.reached ??= new Set();
  const again = window.reached.has(e);
  window.reached.add(e);
  // The sidebar's arrows show it on what they hold, fields on their label or frame.
  const near = [e, e.parentElement, e.firstElementChild, e.labels?.[0]];
  const visible = near.some((x) => x && shown(x));
  return [again, e.outerHTML.slice(0, 120), Boolean(visible)];
}"""


@needs_browser
@pytest.mark.parametrize("place", WITH_CONTROLS)
def test_the_keyboard_reaches_everything_and_shows_where_it_is(place, fresh, notes):
    open_page, trouble = fresh
    notes.page = place
    tab = open_page(place)
    come_to_widgets(tab)  # or a slow machine draws them behind the key that has passed them
    unseen, trapped, rounds = [], [], 0
    for _ in range(2_000):
        tab.keyboard.press("Tab")
        settle(tab)
        here = tab.evaluate(FOCUSED)
        if here is None:  # past the last one: wherever the first round began, the second is whole
            rounds += 1
            if rounds == 2:
                break
            continue
        again, html, visible = here
        if again:
            trapped = [] if rounds else [f"never leaves {html}"]
            break
        if not visible:
            unseen.append(html)
    reached = tab.evaluate(
        """() => {
          const can = "a[href], button, input, select, textarea, summary, [tabindex='0']";
          return [...document.querySelectorAll(can)].filter((e) => !window.reached?.has(e)
              && !e.disabled && e.tabIndex >= 0 && e.type !== "radio"
              && e.checkVisibility({visibilityProperty: true})
              && !e.closest("dialog, [inert]"))
            .map(e => e.outerHTML.slice(0, 120));
        }"""
    )
    missed = [f"not reached: {html}" for html in reached]
    notes.check("the key Tab reaches every control and is never trapped", trapped + missed)
    notes.check("what has the focus shows it", unseen)
    assert trouble == []


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
    picture = come_to_widgets(tab).locator("img:visible")
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
