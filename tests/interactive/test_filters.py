"""Mirrors cifar_lessons/interactive/filters.py."""

import pytest
from browser import needs_browser
from bs4 import BeautifulSoup

from cifar_lessons.interactive.filters import filtered
from cifar_lessons.tables import Cell, Table

TABLE = Table(
    ("Claim", "Verdict", "Chapter"),
    [
        ("C1 It is <fast>", "open", Cell("01", href="one.html")),
        ("C2 It is slow", "corrected", Cell("01", href="one.html")),
        ("C3 It is ordinary", "open", "02"),
    ],
    "Three claims.",
)


def test_without_a_script_the_table_is_all_there_and_the_controls_are_hidden():
    page = filtered(TABLE, ["Verdict", "Chapter"])
    soup = BeautifulSoup(page._repr_html_(), "html.parser")
    assert len(soup.select("tbody tr")) == 3
    assert soup.select_one(".cl-filters").has_attr("hidden")
    assert str(page) == str(TABLE)
    options = [[o.text for o in s.select("option")] for s in soup.select("select")]
    assert options == [["all (3)", "corrected (1)", "open (2)"], ["all (3)", "01 (2)", "02 (1)"]]


def test_an_unknown_column_is_named():
    with pytest.raises(ValueError, match=r"no column 'Colour' to filter by; there are \['Claim'"):
        filtered(TABLE, ["Colour"])


@needs_browser
def test_rows_are_filtered_by_lists_and_words_together(tab):
    tab.set_content(filtered(TABLE, ["Verdict", "Chapter"], noun="claims").html)
    shown = tab.locator("tbody tr:visible th")
    status = tab.get_by_role("status")
    assert status.text_content() == "All 3 claims are shown."
    tab.get_by_label("Verdict").select_option("open")
    assert shown.all_text_contents() == ["C1 It is <fast>", "C3 It is ordinary"]
    tab.get_by_label("Chapter").select_option("01")
    assert shown.all_text_contents() == ["C1 It is <fast>"]
    assert status.text_content() == "1 of 3 claims are shown."
    tab.get_by_role("button", name="Show all").click()
    tab.get_by_label("Words").press_sequentially("SLOW  it")
    assert shown.all_text_contents() == ["C2 It is slow"]
    tab.get_by_label("Words").press_sequentially(" nonsense")
    assert shown.count() == 0
    assert status.text_content() == "0 of 3 claims are shown."


@needs_browser
def test_two_tables_on_one_page_do_not_disturb_each_other(tab):
    tab.set_content(filtered(TABLE, ["Verdict"]).html + filtered(TABLE, ["Verdict"]).html)
    tab.get_by_label("Verdict").first.select_option("corrected")
    rows = [root.locator("tbody tr:visible").count() for root in tab.locator(".cl-filtered").all()]
    assert rows == [1, 3]
