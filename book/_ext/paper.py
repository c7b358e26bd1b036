"""The book on paper: what the PDF shows in place of what only a browser can.

The rest of the build leaves LaTeX out: Sphinx would print tables of the library as their source,
quizzes with every answer open, and the parts of the contents not at all. So, for LaTeX alone:

- an HTML table becomes a table; anything else in HTML, and a widget, a line that names it;
- the answers of a quiz stand together after its last question, solutions after the last exercise;
- the parts of `_toc.yml` become parts, and the first page a preface; so chapter 1 is chapter 1.

What it is set with (fonts, sizes, headings) stands in paper.tex.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import texescape
from sphinxcontrib.bibtex.nodes import bibliography

PREAMBLE = Path(__file__).with_name("paper.tex")
WIDGET = "application/vnd.jupyter.widget-view+json"
# How many letters a line of a table holds, in type of each size.
SIZES = {r"\small": 82, r"\footnotesize": 94, r"\scriptsize": 112, r"\tiny": 150}
# Not \raggedright: it changes what ends a row.
RAGGED = r"\rightskip=0pt plus 4em\hyphenpenalty=9000 "
REFERENCE, SOURCES = "api", "references"
LEFT_OUT = (
    "The reference of the library is made from its docstrings, and is longer than the book. It is "
    "left out here: the web pages have it, with links, and help() shows the same in Python."
)


def latex(source: str) -> nodes.raw:
    """Return LaTeX as it stands."""
    return nodes.raw("", source, format="latex")


def paragraph(*children: nodes.Node) -> nodes.paragraph:
    """Return a paragraph."""
    return nodes.paragraph("", "", *children)


# --- HTML ----------------------------------------------------------------------------------


def inline(tag: Tag) -> Iterator[nodes.Node]:
    """Yield the text of an HTML element, its code as code."""
    for child in tag.children:
        if isinstance(child, Tag):
            if child.name == "code":
                yield nodes.literal(child.get_text(), child.get_text())
            else:
                yield from inline(child)
        elif text := re.sub(r"\s+", " ", str(child)):
            yield nodes.Text(text)


def widths(texts: list[list[str]]) -> tuple[list[int], str]:
    """Return the widths of a table's columns, and the size of type in which they fit.

    No column is narrower than its longest word, so that nothing is cut. What is left of the line
    goes to those that have more to say.

    Args:
        texts: Of all cells, a list for each column.
    """
    least = [
        max((len(word) for text in column for word in text.split()), default=1) + 2
        for column in texts
    ]
    wanted = [min(max(map(len, column)), 60) for column in texts]
    fitting = [item for item in SIZES.items() if sum(least) <= item[1]]
    size, line = (fitting or [max(SIZES.items(), key=lambda item: item[1])])[0]
    more = [max(0, want - low) for want, low in zip(wanted, least, strict=True)]
    share = min(1.0, max(0, line - sum(least)) / max(1, sum(more)))
    return [low + round(share * extra) for low, extra in zip(least, more, strict=True)], size


def table(html: Tag) -> list[nodes.Node]:
    """Return an HTML table as a title and a table for LaTeX, in type that lets it fit."""
    rows = [row.find_all(["th", "td"]) for row in html.find_all("tr")]
    texts = [[cell.get_text() for cell in column] for column in zip(*rows, strict=True)]
    columns, size = widths(texts)
    group = nodes.tgroup(cols=len(columns))
    group += [nodes.colspec(colwidth=width) for width in columns]
    head, body = nodes.thead(), nodes.tbody()
    for index, cells in enumerate(rows):
        row = nodes.row()
        for cell in cells:
            entry = nodes.entry()
            entry += paragraph(latex(RAGGED), *inline(cell))
            row += entry
        if index == 0 and all(cell.name == "th" for cell in cells):
            head += row
        else:
            body += row
    group += [head, body] if head.children else [body]
    made = nodes.table("", group, classes=["longtable", "colwidths-given"])
    found: list[nodes.Node] = []
    if caption := html.find("caption"):
        found += [paragraph(nodes.emphasis("", "", *inline(caption))), latex(r"\nopagebreak")]
    return [*found, latex(r"\begingroup" + size), made, latex(r"\endgroup")]


def instead(words: str) -> nodes.paragraph:
    """Return the line that stands where a page has something that works in a browser only."""
    return paragraph(nodes.emphasis("", f"[On the web page: {words}]"))


def printed(bundle: nodes.container) -> list[nodes.Node] | None:
    """Return what stands for an output of a cell; None where it can be printed as it is."""
    found = {str(child["mime_type"]): child.astext() for child in bundle.children}
    if WIDGET in found:
        return [instead("a control to move, and a figure that follows it.")]
    if "text/html" not in found:
        return None
    tables = BeautifulSoup(found["text/html"], "html.parser").find_all("table")
    if tables:
        return [node for html in tables for node in table(html)]
    return [instead(found.get("text/plain", "something to try.").strip().partition("\n")[0])]


# --- Folds ---------------------------------------------------------------------------------


def opened(node: nodes.Node) -> str | None:
    """Return the summary of a fold that begins here."""
    if not isinstance(node, nodes.raw) or "<details" not in node.astext():
        return None
    summary = BeautifulSoup(node.astext(), "html.parser").find("summary")
    return re.sub(r"\s+", " ", summary.get_text()).strip() if summary else ""


def closed(node: nodes.Node) -> bool:
    """Return whether a fold ends here."""
    return isinstance(node, nodes.raw) and "</details>" in node.astext()


def unfold(section: nodes.Element) -> Iterator[tuple[str, bool, int, list[nodes.Node]]]:
    """Take the folds out of a section's own children, one by one.

    Yields:
        Its summary, whether it is an answer of a quiz, where it stood, and what was in it.
    """
    start = 0
    while start < len(section.children):
        summary = opened(section[start])
        if summary is None:
            start += 1
            continue
        end = start + 1
        while not closed(section[end]):
            end += 1
        inside, quiz = section.children[start + 1 : end], "cl-answer" in section[start].astext()
        del section[start : end + 1]
        yield summary, quiz, start, inside


def is_right(inside: list[nodes.Node]) -> bool:
    """Return whether a quiz's reason says that the answer is right."""
    return bool(inside) and inside[0].astext().startswith("Right")


def print_quiz(section: nodes.section) -> None:
    """List the answers of each question, and the right ones, with their reasons, at the end."""
    right: list[nodes.Node] = []
    for summary, _, place, inside in unfold(section):
        section.insert(place, paragraph(nodes.Text(summary)))
        if is_right(inside):
            number = len(right) + 1
            letter = summary.partition(".")[0]
            reason = inside[0]
            reason.children[:1] = [nodes.strong("", f"{number} {letter}.")]
            right.append(reason)
    section += [nodes.rubric("", "Answers"), *right]


def print_solutions(section: nodes.section) -> None:
    """Gather the solutions of all exercises below the last one."""
    solutions: list[nodes.Node] = []
    for exercise in [section, *section.findall(nodes.section)]:
        for summary, _, place, inside in unfold(exercise):
            if summary != "Solution":
                exercise.insert(place, [paragraph(nodes.strong("", summary)), *inside])
                continue
            title = exercise.next_node(nodes.title).astext()
            # Its title stays with what follows it.
            name = paragraph(nodes.strong("", f"Exercise {title}"), latex(r"\nopagebreak"))
            solutions += [name, *inside]
    if solutions:
        section += [nodes.rubric("", "Solutions"), *solutions]


# --- The whole -----------------------------------------------------------------------------


class Print(SphinxPostTransform):
    """Make the assembled book fit for paper."""

    default_priority = 3  # before MyST-NB chooses (4) which form of an output is shown
    builders = ("latex",)

    def run(self, **_: Any) -> None:
        """Change it in place."""
        for bundle in list(self.document.findall(nodes.container)):
            if bundle.get("nb_element") == "mime_bundle" and (made := printed(bundle)) is not None:
                bundle.parent.replace(bundle, made)
        for section in list(self.document.findall(nodes.section)):
            own = [n for n in section.children if opened(n) is not None]
            if any("cl-answer" in n.astext() for n in own):
                print_quiz(section)
        for section in list(self.document.findall(nodes.section)):
            if section.next_node(nodes.title).astext() == "Exercises":
                print_solutions(section)
        self.set_parts()
        self.leave_out()

    def set_parts(self) -> None:
        """Turn the first page into a preface, and captions of the contents into parts."""
        first = self.document.next_node(nodes.section)
        if first is None or not list(self.document.findall(addnodes.start_of_file)):
            return
        before = [n for n in first.children[1:] if not list(n.findall(addnodes.start_of_file))]
        preface = nodes.section("", nodes.title("", "About this book"), ids=["about-this-book"])
        preface += before
        first[1:] = [
            latex(r"\setcounter{secnumdepth}{-1}"),
            preface,
            *(n for n in first.children[1:] if n not in before),
        ]
        parts = {}
        for contents in self.env.get_doctree(self.config.root_doc).findall(addnodes.toctree):
            if contents["includefiles"] and contents.get("caption"):
                # Of the numbers, those of chapters alone, as on the pages.
                depth = 0 if contents.get("numbered") else -1
                parts[contents["includefiles"][0]] = (contents["caption"], depth)
        for page in list(self.document.findall(addnodes.start_of_file)):
            begin = ""
            if page["docname"] in parts:
                caption, depth = parts[page["docname"]]
                begin = rf"\setcounter{{secnumdepth}}{{{depth}}}\part{{{caption}}}"
            below = page.parent.parent is not first
            if below:  # a page of a chapter, which is one of its sections here
                begin = r"\clearpage"
            # Of sections, the contents list those pages alone.
            begin += rf"\addtocontents{{toc}}{{\protect\setcounter{{tocdepth}}{{{below:d}}}}}"
            page.parent.insert(page.parent.index(page), latex(begin))

    def leave_out(self) -> None:
        """Leave out the library's reference, and a title that would come twice."""
        for page in self.document.findall(addnodes.start_of_file):
            if page["docname"] == REFERENCE:
                chapter = page.next_node(nodes.section)
                chapter[1:] = [paragraph(nodes.Text(LEFT_OUT))]
            elif page["docname"] == SOURCES:  # LaTeX has a chapter of its own for them
                sources = list(page.findall(bibliography))
                page.clear()
                page.extend(sources)


class Unlink(SphinxPostTransform):
    """Take away links to what was left out."""

    default_priority = 11  # after Sphinx has made links of references (10)
    builders = ("latex",)

    def run(self, **_: Any) -> None:
        """Leave their words."""
        for link in list(self.document.findall(nodes.reference)):
            if re.match(rf"%{REFERENCE}(_\w+)?#", link.get("refuri", "")):
                link.replace_self(link.children)


def set_latex(app: Sphinx, config: Config) -> None:
    """Say what the PDF is set with."""
    config.latex_engine = "xelatex"
    texescape.init()
    title, author = (
        texescape.escape(words, "xelatex") for words in (config.html_title, config.author)
    )
    config.latex_documents = [(config.root_doc, "cifar-lessons.tex", title, author, "manual")]
    config.latex_use_xindy = False  # a package more, for an index that nobody has made
    config.latex_domain_indices = False
    config.latex_elements = {
        "papersize": "a4paper",
        "extraclassoptions": "openany,oneside",
        "figure_align": "H",  # where the cell is
        "fncychap": "",
        "fontpkg": "",
        "printindex": "",
        "preamble": PREAMBLE.read_text("utf-8"),
    }


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_post_transform(Print)
    app.add_post_transform(Unlink)
    app.connect("config-inited", set_latex, priority=100)  # Sphinx reads them after
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
