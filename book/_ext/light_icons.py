"""The theme's icons, of which pages show a score out of two thousand: the others are left out.

Font Awesome comes with the theme as a font of 156 kB and as rules in its style sheet, one an icon.
"""

import re
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

STYLE = "_static/styles/pydata-sphinx-theme.css"
FONT = "_static/vendor/fontawesome/webfonts/fa-solid-900"
USERS = ("*.html", "_static/*.js", "_static/scripts/*.js")
ICON = re.compile(r"\bfa-[a-z0-9-]+")
# .fa-bars:before,.fa-navicon:before{content:"\f0c9"}
RULE = re.compile(r'(?:\.fa-[a-z0-9-]+:before,?)+\{content:"[^"]*"\}')
# A letter of the private use area, as it is or escaped.
LETTER = re.compile(r"[\ue000-\uf8ff]|\\(?P<code>[ef][0-9a-f]{3})\b")


def only(style: str, icons: set[str]) -> str:
    """Return a style sheet without the rules of all icons but some."""

    def kept(rule: re.Match[str]) -> str:
        return rule[0] if icons & set(ICON.findall(rule[0])) else ""

    return RULE.sub(kept, style)


def letters(style: str) -> set[int]:
    """Return the code points of the icons that a style sheet can show."""
    return {int(m["code"], 16) if m["code"] else ord(m[0]) for m in LETTER.finditer(style)}


def lighten(app: Sphinx, exception: Exception | None) -> None:
    """Rewrite the style sheet and the font of a book that has been built."""
    style, font = Path(app.outdir, STYLE), Path(app.outdir, FONT)
    if exception or app.builder.format != "html" or not style.exists():
        return
    named = {
        icon
        for pattern in USERS
        for path in Path(app.outdir).glob(pattern)
        if path.name != "fontawesome.js"  # which has them all, and no page loads it
        for icon in ICON.findall(path.read_text("utf-8"))
    }
    rules = only(style.read_text("utf-8"), named)
    style.write_text(rules, "utf-8")
    with TTFont(font.with_suffix(".ttf")) as whole:
        subset = Subsetter(Options(flavor="woff2"))
        subset.populate(unicodes=letters(rules))
        subset.subset(whole)
        whole.flavor = "woff2"
        whole.save(font.with_suffix(".woff2"))


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("build-finished", lighten)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
