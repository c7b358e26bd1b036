"""What a screen reader stumbles over in the HTML that Sphinx and MyST-NB write, put right."""

import re
from typing import Any

from docutils.nodes import document
from sphinx.application import Sphinx

# A signature over several lines: Sphinx writes a definition list of definitions without terms.
SIGNATURE = re.compile(r'<dl>\s*(?:<dd><em class="sig-param">.*?</dd>\s*)+</dl>', re.DOTALL)


def plain_lines(match: re.Match[str]) -> str:
    """Return the signature's lines as plain boxes."""
    lines = match[0].replace("<dl>", '<div class="sig-lines">').replace("</dl>", "</div>")
    return lines.replace("<dd>", "<div>").replace("</dd>", "</div>")


def mend(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: document | None
) -> None:
    """Rewrite the body of a page."""
    if "body" not in context:
        return
    body = SIGNATURE.sub(plain_lines, context["body"])
    # A fold is called by its visible text; MyST-NB calls each "Toggle hidden content".
    body = body.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    # The parent is a list, so its children must be items of one.
    body = body.replace('role="doc-biblioentry"', 'role="listitem"')
    context["body"] = body


def name_toggles(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: document | None
) -> None:
    """Name the arrows of the sidebar that unfold a chapter's sections: they hold an icon alone."""
    make = context.get("generate_toctree_html")
    if make is None:
        return

    def named(*arguments: Any, **options: Any) -> str:
        return str(make(*arguments, **options)).replace(
            "<summary>", '<summary aria-label="Show or hide the sections of this chapter">'
        )

    context["generate_toctree_html"] = named


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("html-page-context", mend)
    app.connect("html-page-context", name_toggles, priority=900)  # after the theme's own
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
