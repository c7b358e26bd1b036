"""Proves that every claim of the ledger has its place in a chapter, by the notebooks' sources.

The rendered pages are looked at by `test_pages.py`, after `make book`.
"""

import ast

import nbformat
import pytest
from prose import ROOT

from cifar_lessons import claims

CLAIMS = claims.load_claims()


def asked(source: str, function: str) -> set[str]:
    """Return the claims that a cell gives to `claims.table` or `claims.notes`."""
    calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]
    return {
        a.value
        for call in calls
        if ast.unparse(call.func) == f"claims.{function}"
        for a in call.args
        if isinstance(a, ast.Constant)
    }


def test_there_are_21():
    assert [c.id for c in CLAIMS] == [f"C{number:02}" for number in range(1, 22)]


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_its_chapter_shows_its_row_and_its_notes_under_a_heading(claim):
    [path] = (ROOT / "book").glob(f"{claim.chapter}_*.ipynb")
    heading = ""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            lines = [line for line in cell.source.splitlines() if line.startswith("## ")]
            heading = lines[-1] if lines else heading
        elif claim.id in asked(cell.source, "notes"):
            assert claim.id in asked(cell.source, "table")
            assert heading
            return
    pytest.fail(f"{path.name} never shows the notes of {claim.id}")


def test_a_page_that_shows_a_claim_says_where_it_stands_in_the_ledger():
    """The table makes the link; a page that showed notes alone would have none."""
    for path in (ROOT / "book").glob("*.ipynb"):
        code = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
        sources = [s for s in code if "claims." in s]
        noted = set().union(*(asked(s, "notes") for s in sources))
        shown = set().union(*(asked(s, "table") for s in sources))
        assert noted <= shown, path.name
