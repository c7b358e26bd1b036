"""Mirrors cifar_lessons/tables.py."""

from xml.etree import ElementTree

import pytest

from cifar_lessons.tables import Cell, Markdown, Table, number_of


@pytest.fixture
def table() -> Table:
    return Table(
        ("Name", "Do"),
        [("a < b", Cell("x | y", code=True)), ("c", Cell("go", href="01_data.html"))],
        "Two & two. More words.",
    )


def test_html_is_well_formed_escaped_and_has_scopes_and_a_caption(table):
    root = ElementTree.fromstring(table._repr_html_())
    assert root.find(".//caption").text == "Two & two. More words."
    assert root.attrib["aria-label"] == "Two & two"
    assert root.attrib["tabindex"] == "0"  # what scrolls must be reached by keyboard
    assert [th.attrib["scope"] for th in root.iter("th")] == ["col", "col", "row", "row"]
    assert [th.text for th in root.iter("th")] == ["Name", "Do", "a < b", "c"]
    assert root.find(".//code").text == "x | y"
    assert root.find(".//a").attrib["href"] == "01_data.html"


def test_a_cell_may_be_a_place_to_link_to():
    cell = Cell("go", href="01_data.html", anchor="row-1")
    assert cell.html() == '<span id="row-1"><a href="01_data.html">go</a></span>'
    assert cell.markdown() == "[go](01_data.html)"


def test_markdown_keeps_bars_inside_their_cell(table):
    lines = table._repr_markdown_().splitlines()
    assert lines[:4] == [
        "| Name | Do |",
        "| --- | --- |",
        r"| a < b | `x \| y` |",
        "| c | [go](01_data.html) |",
    ]


def test_plain_text_is_aligned(table):
    assert str(table).splitlines() == ["Name   Do", "a < b  x | y", "c      go"]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"row 0 has 1 cells for 2 columns.*'Name', 'Do'"):
        Table(("Name", "Do"), [("a",)], "")


def test_markdown_is_text_that_notebooks_render():
    text = Markdown("**yes**")
    assert text == text._repr_markdown_() == "**yes**"


def test_empty_markdown_shows_nothing_and_not_two_quotation_marks():
    from IPython.core.formatters import DisplayFormatter

    data, _ = DisplayFormatter().format(Markdown(""))
    assert data["text/markdown"] == "<!-- nothing to say -->"


def test_tables_are_no_landmarks_so_that_two_may_have_one_name(table):
    # A page may show the same kind of table twice, and landmarks must have names of their own.
    assert 'role="region"' not in table._repr_html_()
    assert 'tabindex="0" role="group" aria-label=' in table._repr_html_()


def test_a_column_without_a_name_is_refused():
    with pytest.raises(ValueError, match="every column needs a name, got"):
        Table(("Corruption", ""), [("none", "1")], "what it shows")


def test_a_table_without_rows_shows_its_words_and_no_headings():
    empty = Table(("Recipe", "Accuracy"), [], "Nothing is recorded yet.")
    assert "Recipe" not in empty._repr_html_() + empty._repr_markdown_() + str(empty)
    assert "Nothing is recorded yet." in empty._repr_html_()
    assert str(empty) == "Nothing is recorded yet."


def test_a_noun_stands_in_the_plural_but_for_one():
    assert [number_of(n, "seed") for n in (0, 1, 2)] == ["0 seeds", "1 seed", "2 seeds"]
