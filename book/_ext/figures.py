"""Numbered figures: what a notebook draws gets a number, a caption, and a name to refer to.

MyST-NB makes a figure of every output of a cell, its tables and cards too, all under one name. Many
cells here show a figure, the table to it and a card, so this does it by itself, from the metadata
of the cell, in the order in which the figures are drawn:

    "mystnb": {"figures": [{"name": "edge-filters", "caption": "A square, and two filters."}]}

Where a cell draws several, each has its own "alt"; MyST-NB would give them all the cell's.

In the text, a link to that name whose words are "the figure", as `[The figure](#edge-filters)`,
becomes "Figure 2.1" on the page and on paper. In JupyterLab it reads as it stands.

Numbers go by chapter, and on through the pages below it: Sphinx would count afresh in each, since
only chapters are numbered here.
"""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
IN_TEXT, IN_CAPTION = "Figure %s", "Figure %s:"
WORDS = ("the figure", "The figure")


def is_picture(bundle: nodes.Element) -> bool:
    """Return whether an output of a cell is shown as a picture: it has one, and no better form."""
    kinds = [str(child.get("mime_type", "")) for child in bundle.children]
    richer = {"text/html", "application/vnd.jupyter.widget-view+json"}
    return any(kind.startswith("image/") for kind in kinds) and not richer & set(kinds)


def words(caption: str) -> Iterator[nodes.Node]:
    """Yield a caption's text, with `code` as code."""
    for index, part in enumerate(caption.split("`")):
        if part:
            yield nodes.literal(part, part) if index % 2 else nodes.Text(part)


def elements(document: nodes.document, kind: str) -> list[nodes.container]:
    """Return the containers that MyST-NB has made of cells, or of their outputs."""
    return [n for n in document.findall(nodes.container) if n.get("nb_element") == kind]


class CaptionFigures(SphinxTransform):
    """Put the pictures of each cell into figures with a caption and a name."""

    default_priority = 700  # names must be there before links (879) and labels are collected

    def apply(self, **_: Any) -> None:
        """Wrap them in place."""
        for cell in elements(self.document, "cell_code"):
            wanted = cell["cell_metadata"].get("mystnb", {}).get("figures", [])
            pictures = [
                n
                for n in cell.findall(nodes.container)
                if n.get("nb_element") == "mime_bundle" and is_picture(n)
            ]
            if wanted and len(pictures) > len(wanted):
                LOGGER.warning(
                    f"cell {cell['cell_index']} draws {len(pictures)} figures and has captions "
                    f"for {len(wanted)}; give each one in mystnb.figures",
                    location=cell,
                )
            # There may be fewer: one that needs a recorded run, and the run is not recorded.
            for bundle, options in zip(pictures, wanted, strict=False):
                self.wrap(bundle, options["name"], options["caption"])
                for image in bundle.findall(nodes.image):
                    image["alt"] = options.get("alt", image.get("alt", ""))

    def wrap(self, bundle: nodes.container, name: str, caption: str) -> None:
        """Put one picture into a figure."""
        figure = nodes.figure()
        figure.source, figure.line = bundle.source, bundle.line
        bundle.replace_self(figure)
        figure += bundle
        text = nodes.caption(caption, "", *words(caption))
        text.source, text.line = bundle.source, bundle.line
        figure += text
        figure["names"].append(nodes.fully_normalize_name(name))
        self.document.note_explicit_target(figure, figure)


class ReferToFigures(SphinxTransform):
    """Make references by number of links to figures that say "the figure"."""

    default_priority = 870

    def apply(self, **_: Any) -> None:
        """Replace them in place; Sphinx finds the numbers, and warns of a name that is none."""
        links = [n for n in self.document.findall(nodes.reference) if n.get("id_link")]
        pages = [
            n
            for n in self.document.findall(addnodes.pending_xref)
            if n["reftype"] == "myst" and n.get("reftargetid")
        ]
        for link in [*links, *pages]:
            if link.astext() not in WORDS:
                continue
            name = link.get("reftargetid") or link["refuri"].removeprefix("#")
            number = addnodes.pending_xref(
                "",
                nodes.literal(IN_TEXT, IN_TEXT, classes=["xref", "std", "std-numref"]),
                refdoc=self.env.docname,
                refdomain="std",
                reftype="numref",
                reftarget=nodes.fully_normalize_name(name),
                refexplicit=True,
                refwarn=True,
            )
            number.source, number.line = link.source, link.line
            link.replace_self(number)


def number_by_chapter(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Number the figures of each chapter in the order of reading; return pages that changed."""
    counts: dict[tuple[int, ...], int] = {}
    changed: list[str] = []

    def walk(page: str, chapter: tuple[int, ...]) -> None:
        chapter = tuple(env.toc_secnumbers.get(page, {}).get("") or chapter)[:1]
        numbers = {}
        for figure in env.get_doctree(page).findall(nodes.figure):
            if figure["ids"]:
                counts[chapter] = counts.get(chapter, 0) + 1
                numbers[figure["ids"][0]] = (*chapter, counts[chapter])
        of_page = env.toc_fignumbers.setdefault(page, {})
        if of_page.get("figure", {}) != numbers:
            of_page["figure"] = numbers
            changed.append(page)
        for below in env.toctree_includes.get(page, []):
            walk(below, chapter)

    walk(env.config.root_doc, ())
    return changed


def set_format(app: Sphinx, config: Config) -> None:
    """Turn numbers on."""
    config.numfig = True
    config.numfig_secnum_depth = 1
    config.numfig_format = {"figure": IN_CAPTION, **config.numfig_format}


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.add_transform(CaptionFigures)
    app.add_transform(ReferToFigures)
    app.connect("config-inited", set_format, priority=100)  # Sphinx adds its defaults after
    app.connect("env-get-updated", number_by_chapter, priority=900)  # after Sphinx's own numbers
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
