"""Mirrors book/_ext/light_icons.py, on the theme's own style sheet and font."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import light_icons
import pydata_sphinx_theme
import pytest
from fontTools.ttLib import TTFont

THEME = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
BARS, GHOST = 0xF0C9, 0xF6E2


@pytest.fixture
def site(tmp_path) -> Path:
    """A book of one page, which shows one icon; a script names another."""
    for name in (light_icons.STYLE, f"{light_icons.FONT}.ttf", f"{light_icons.FONT}.woff2"):
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(THEME / Path(name).relative_to("_static"), target)
    (tmp_path / "index.html").write_text('<i class="fa-solid fa-bars"></i>')
    (tmp_path / "_static" / "theme.js").write_text('icon("fa-xmark")')
    (tmp_path / "_static" / "scripts").mkdir()
    (tmp_path / "_static" / "scripts" / "fontawesome.js").write_text("fa-ghost")
    builder = SimpleNamespace(format="html")
    light_icons.lighten(SimpleNamespace(outdir=tmp_path, builder=builder), None)
    return tmp_path


def test_icons_of_pages_and_scripts_stay_and_others_go(site):
    rules = (site / light_icons.STYLE).read_text()
    assert ".fa-bars:before" in rules
    assert ".fa-xmark:before" in rules
    assert ".fa-ghost:before" not in rules
    before, after = (
        set(TTFont(site / f"{light_icons.FONT}.{kind}").getBestCmap()) for kind in ("ttf", "woff2")
    )
    assert BARS in after
    assert GHOST in before - after
    assert before & light_icons.letters(rules) <= after


def test_what_the_theme_shows_by_itself_stays(site):
    before = (THEME / Path(light_icons.STYLE).relative_to("_static")).read_text()
    after = (site / light_icons.STYLE).read_text()
    assert light_icons.RULE.sub("", before) == light_icons.RULE.sub("", after)
    assert len(after) < 0.85 * len(before)


def test_they_weigh_a_tenth(site):
    whole = THEME / "vendor/fontawesome/webfonts/fa-solid-900.woff2"
    assert (site / f"{light_icons.FONT}.woff2").stat().st_size < whole.stat().st_size / 10
