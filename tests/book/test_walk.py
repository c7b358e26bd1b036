"""Proves that the report of the walk hides nothing, and that the status page shows what it says."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import walk_report
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils
from walk import Notes, Walk, write

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT / "book" / "walk.json"
PAGES = ["a.html", "b.html"]
ABOUT = {
    "commit": "0123456789abcdef",
    "dirty": False,
    "browser": "Chromium 1",
    "axe": "2",
    "views": ["light, 1280 px", "dark, 400 px"],
}


@pytest.fixture
def walk(tmp_path) -> Walk:
    """A walk of two tests: one looks at each page, one at a feature."""
    tests = tmp_path / "test_pages.py"
    tests.write_text("def test_links(page): ...\n\ndef test_search(): ...\n\ndef helper(): ...\n")
    return Walk(tests)


def saw(walk: Walk, page: str, *faults: str, **axe: str) -> None:
    """Add a test of a page, with its findings."""
    notes = Notes(page=page, everywhere=True)
    notes.check("links lead somewhere", faults, **axe)
    outcome = "failed" if faults else "passed"
    walk.add(f"test_links[{page}]", outcome, notes=notes.as_dict(), seconds=1.5)


def shown(walk: Walk, pages: list[str] = PAGES) -> tuple[dict[str, Any], str]:
    report = walk.report(pages, **ABOUT)
    return report, walk_report.markdown(report, {Path(p).stem for p in pages})


def test_a_clean_and_whole_walk(walk):
    for page in PAGES:
        saw(walk, page)
    walk.add("test_search", "passed", seconds=2)
    report, text = shown(walk)
    assert report["findings"] == report["left_out"] == []
    assert report["checks"] == [
        {"what": "links lead somewhere", "pages": 2},
        {"what": "search", "pages": 0},
    ]
    assert report["test_seconds"] == 5
    assert text.startswith("No finding on 2 pages, each seen in 2 views (light, 1280 px; dark")
    assert "of commit 0123456789 in Chromium 1" in text
    assert "| links lead somewhere | 2 | 0 |\n| search | 1 | 0 |" in text
    assert "Not complete" not in text


def test_each_finding_is_counted_and_shown(walk):
    saw(walk, "a.html", "<b>bad</b>", view="dark, 400 px", rule="color-contrast", impact="serious")
    saw(walk, "b.html", "x: no such file", "y: no such file")
    walk.add("test_search", "passed")
    report, text = shown(walk)
    assert len(report["findings"]) == 3
    assert text.startswith("**3 findings** on 2 pages")
    assert "| links lead somewhere | 2 | 3 |" in text
    assert "| color-contrast | serious | 1 |" in text
    assert r"- a.html, dark, 400 px, color-contrast: links lead somewhere: \<b\>bad\</b\>" in text
    assert "- b.html: links lead somewhere: y: no such file" in text


def test_more_findings_than_fit_are_counted(walk):
    saw(walk, "a.html", *(f"fault {n}" for n in range(30)))
    _, text = shown(walk)
    assert text.startswith("**30 findings**")
    assert "- … and 10 more in `book/walk.json`" in text


def test_a_test_that_fails_without_naming_a_finding_is_one(walk):
    walk.add("test_search", "failed", why="AssertionError: nothing was found")
    notes = Notes(page="a.html", everywhere=True)
    notes.check("links lead somewhere", [])
    walk.add("test_links[a.html]", "failed", notes=notes.as_dict(), why="the tab crashed")
    report, text = shown(walk)
    assert [f["what"] for f in report["findings"]] == [
        "AssertionError: nothing was found",
        "the tab crashed",
    ]
    assert text.startswith("**2 findings**")
    assert "| search | 1 | 1 |" in text


def test_what_did_not_run_is_listed(walk):
    saw(walk, "a.html")
    walk.add("test_search", "skipped", why="no Chromium")
    report, text = shown(walk)
    assert report["left_out"] == ["search: no Chromium", "links lead somewhere: not on b.html"]
    assert "**Not complete.** Left out:\n\n- search: no Chromium" in text
    assert "search" not in [c["what"] for c in report["checks"]]


def test_a_test_that_was_never_started_is_listed(walk):
    for page in PAGES:
        saw(walk, page)
    assert shown(walk)[0]["left_out"] == ["search: did not run"]


def test_uncommitted_changes_and_pages_that_came_later_are_told(walk):
    saw(walk, "a.html")
    report = walk.report(["a.html"], **ABOUT | {"dirty": True, "commit": ""})
    text = walk_report.markdown(report, {"a", "newer"})
    assert "of commit no known commit with uncommitted changes in" in text
    assert "Not walked yet: `newer`." in text


def test_a_report_survives_its_file(walk, tmp_path):
    saw(walk, "a.html", "ä fault")
    report, _ = shown(walk)
    write(report, tmp_path / "walk.json")
    assert json.loads((tmp_path / "walk.json").read_text("utf-8")) == report


def test_the_status_page_shows_the_report():
    page = (ROOT / "book" / "status.md").read_text("utf-8")
    assert "```{walk-report}\n```" in page
    assert RECORDED == walk_report.REPORT
    assert "make walk" in page


@pytest.mark.parametrize("recorded", [True, False])
def test_a_page_shows_what_the_file_says(walk, recorded, tmp_path, monkeypatch):
    """Rendered by Sphinx, with a table that has headers."""
    monkeypatch.setattr(walk_report, "REPORT", tmp_path / "walk.json")
    if recorded:
        saw(walk, "a.html", "<b>bad</b>", rule="color-contrast", impact="serious")
        write(walk.report(PAGES, **ABOUT), tmp_path / "walk.json")
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text("# Page\n\n```{walk-report}\n```\n")
    (source / "conf.py").write_text("extensions = ['myst_parser', 'walk_report']\n")
    warnings = io.StringIO()
    with patch_docutils(), docutils_namespace():
        places = (source, source, tmp_path / "html", tmp_path / "doctrees")
        Sphinx(*map(str, places), "html", status=None, warning=warnings).build()
    assert warnings.getvalue() == ""
    page = BeautifulSoup((tmp_path / "html" / "index.html").read_text("utf-8"), "html.parser")
    rows = [[c.get_text() for c in row.find_all(["td", "th"])] for row in page.select("tr")]
    if not recorded:
        assert "make book walk" in page.get_text()
        assert rows == []
        return
    assert ["What was checked", "Pages", "Findings"] in rows
    assert ["links lead somewhere", "1", "1"] in rows
    assert ["color-contrast", "serious", "1"] in rows
    assert page.select("table thead th")
    assert "<b>bad</b>" in page.get_text()
    assert "search: did not run" in page.get_text()


@pytest.mark.skipif(not RECORDED.is_file(), reason="no walk is recorded; `make walk` does it")
def test_the_recorded_walk_is_whole_and_found_nothing():
    report = json.loads(RECORDED.read_text("utf-8"))
    assert report["findings"] == []
    assert report["left_out"] == []
    assert report["commit"]
    assert not report["dirty"], "commit, then `make book walk`: the report names the commit"
    text = walk_report.markdown(report, set())
    assert text.startswith(f"No finding on {len(report['pages'])} pages")
