"""`{walk-report}`: what the last recorded walk through the pages found, from `walk.json`.

The walk comes after a build and its report before the next, so a page can only show the last one;
it says of which commit that is. Numbers are counted here, from the findings themselves.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

REPORT = Path(__file__).resolve().parents[1] / "walk.json"
MISSING = "The walk through the pages is not recorded yet: `make book walk` does it."
MOST_SHOWN = 20  # findings in full; all are counted


def markdown(report: dict[str, Any], pages: set[str]) -> str:
    """Return what the page says of a report, as Markdown.

    Args:
        report: The content of `walk.json`.
        pages: Of today's book, such as `01_data`.
    """
    found, views = report["findings"], report["views"]
    of = report["commit"][:10] or "no known commit"
    of += " with uncommitted changes" if report["dirty"] else ""
    number = f"**{len(found)} finding{'' if len(found) == 1 else 's'}**" if found else "No finding"
    lines = [
        f"{number} on {len(report['pages'])} pages, each seen in {len(views)} views "
        f"({'; '.join(views)}). The walk of {report['date']} opened the pages of commit {of} in "
        f"{report['browser']}, with the network cut, and asked axe {report['axe']}, a checker of "
        "accessibility. These pages may be newer than that.",
        "",
        "| What was checked | Pages | Findings |",
        "| --- | --- | --- |",
    ]
    counted = Counter(f["check"] for f in found)
    seen = {c["what"]: c["pages"] for c in report["checks"]}
    for check in sorted(seen.keys() | counted.keys()):
        lines.append(f"| {_plain(check)} | {seen.get(check) or 1} | {counted[check]} |")
    if rules := Counter((f["rule"], f.get("impact", "")) for f in found if f.get("rule")):
        lines += ["", "| Broken rule of axe | Impact | Places |", "| --- | --- | --- |"]
        lines += [
            f"| {_plain(rule)} | {_plain(impact)} | {n} |" for (rule, impact), n in rules.items()
        ]
    if found:
        lines += ["", *(_finding(f) for f in found[:MOST_SHOWN])]
        if len(found) > MOST_SHOWN:
            lines.append(f"- … and {len(found) - MOST_SHOWN} more in `book/walk.json`")
    if report["left_out"]:
        lines += ["", "**Not complete.** Left out:", ""]
        lines += [f"- {_plain(what)}" for what in report["left_out"]]
    if new := sorted(pages - {Path(p).with_suffix("").as_posix() for p in report["pages"]}):
        lines += ["", f"Not walked yet: {', '.join(f'`{page}`' for page in new)}."]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Return words that Markdown leaves alone, in one line."""
    text = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$^~" else c for c in text)


def _finding(found: dict[str, str]) -> str:
    where = ", ".join(found[k] for k in ("page", "view", "rule") if found.get(k))
    return f"- {_plain(where or 'the book')}: {_plain(found['check'])}: {_plain(found['what'])}"


class WalkReport(SphinxDirective):
    """The directive."""

    def run(self) -> list[nodes.Node]:
        """Return the report's paragraphs and tables."""
        self.env.note_dependency(str(REPORT))
        if not REPORT.is_file():
            text = MISSING
        else:
            text = markdown(json.loads(REPORT.read_text("utf-8")), set(self.env.found_docs))
        return list(self.parse_text_to_nodes(text))


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_directive("walk-report", WalkReport)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
