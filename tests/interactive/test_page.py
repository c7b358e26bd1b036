"""Mirrors cifar_lessons/interactive/page.py."""

import json
import re
from pathlib import Path

import pytest
from browser import needs_browser

import cifar_lessons.interactive
from cifar_lessons.interactive.page import Page, fresh_id, read, script, style

FOLDER = Path(cifar_lessons.interactive.__file__).parent


def test_ids_never_repeat():
    assert fresh_id("a") != fresh_id("a")
    assert fresh_id("explorer").startswith("explorer-")


def test_text_in_the_data_cannot_end_the_script():
    found = script("filters", "root", {"noun": "</script><b>&", "columns": []})
    assert found.count("</script>") == 1
    assert "<b>" not in found
    handed = re.search(r'getElementById\("root"\), (\{.*\})\);', found)
    assert handed
    assert json.loads(handed[1]) == {"noun": "</script><b>&", "columns": []}


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        script("filters", "root", {"columns": [float("nan")]})


def test_a_page_shows_html_in_a_notebook_and_words_elsewhere():
    page = Page("<p>1</p>", "one")
    assert page._repr_html_() == "<p>1</p>"
    assert (str(page), repr(page)) == ("one", "one")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.js")), ids=lambda p: p.name)
def test_scripts_load_nothing_and_write_no_markup(path):
    code = read(path.name)
    assert not re.search(r"https?:|fetch\(|import\(|innerHTML|document\.write|eval\(", code)


def test_rules_of_style_touch_only_what_is_ours():
    for path in FOLDER.glob("*.css"):
        rules = re.findall(r"([^{}]+)\{[^{}]*\}", style(path.stem).removeprefix("<style>"))
        for selectors in rules:
            for selector in selectors.split(","):
                assert selector.strip().startswith(".cl-"), selector


@needs_browser
def test_a_script_gets_its_element_and_its_data(tab):
    tab.set_content(
        '<div id="root"><div hidden><input type="search"><button>x</button>'
        '<p role="status"></p></div><table><tbody><tr><th>1</th></tr></tbody></table></div>'
        + script("filters", "root", {"columns": [], "noun": "things"})
        + script("filters", "missing", {"columns": [], "noun": "things"})
    )
    assert tab.get_by_role("status").text_content() == "All 1 things are shown."
