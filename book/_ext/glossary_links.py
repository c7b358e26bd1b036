"""Every term of the glossary is a link where a page uses it first, without a mark in the text.

A plain notebook stays plain, and a term that is added later is linked everywhere. Only running
prose is looked at: no headings, code, tables, captions, outputs or links. Where the
author links a term by hand, or uses a longer term around it, that counts.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

# Pages that explain or list words themselves.
UNLINKED = re.compile(r"glossary|references|api.*|genindex|search")
# Ordinary words too: a machine cannot tell which is meant, so these are linked by hand alone.
BY_HAND = frozenset({"head", "kernel", "split", "student", "teacher", "view", "width"})
# Terms that are something else on a page, or on its first lines: there, by hand alone as well.
ELSE = {
    "07_many_machines": {"padding"},  # of a list of images
    "08_evaluation": {"claim", "filter"},  # verbs
    "08b_inside": {"rank"},  # of a pixel
    "08c_robustness": {"loss"},  # of accuracy
    "10_tta": {"recipe"},  # a way to do it
    "11_distillation": {"trial", "warm-up"},  # a short one; of a term in the loss
    # Of 8 bits; a verb; of accuracy; a way to do it; of a timing.
    "12_deployment": {"calibration", "fold", "loss", "recipe", "warm-up"},
    "12b_browser": {"filter", "loss"},  # of pictures; of time
    "12c_own_pictures": {"fold"},  # a verb
    "13_simclr": {"normalisation", "reward"},  # of a vector; a verb
}
# Other words for a term, beside its plural.
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "batch normalisation": ("batch norm",),
    "data parallel training": ("DDP",),
    "EMA": ("exponential moving average",),
    "expected calibration error": ("ECE", "calibration error"),
    "Holm's correction": ("Holm's method", "Holm-corrected"),
    "Kullback-Leibler divergence": ("KL divergence",),
    "near duplicate": ("near-duplicate",),
    "one-cycle schedule": ("one cycle", "one-cycle"),
    "paired comparison": ("paired difference",),
    "residual block": ("skip connection", "residual connection"),
    "singular values": ("singular value",),
    "test-time augmentation": ("TTA",),
    "warm-up": ("warmup",),
    "Wilson interval": ("Wilson's interval",),
}
# Not running prose: what lies inside is skipped.
SKIPPED = (
    *(nodes.title, nodes.subtitle, nodes.rubric, nodes.caption, nodes.legend, nodes.table),
    *(nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.image),
    *(nodes.citation, nodes.footnote, nodes.topic, nodes.comment, nodes.FixedTextElement),
    *(addnodes.desc, addnodes.toctree, addnodes.glossary, addnodes.pending_xref),
)
OUTPUT = "cell_output"

Places = dict[str, tuple[str, str]]  # by form in lower case: page and anchor of its term


def forms(term: str) -> Iterator[str]:
    """Yield the ways in which a term is written, in lower case."""
    for word in (term, *VARIANTS.get(term, ())):
        word = word.lower()
        yield word
        if re.search(r"[^aeiou]y$", word):
            yield f"{word[:-1]}ies"
        elif re.search(r"(s|x|z|ch|sh)$", word):
            yield f"{word}es"
        else:
            yield f"{word}s"


def pattern(written: Mapping[str, object]) -> re.Pattern[str]:
    """Return what finds any of these forms as whole words, the longest first."""
    longest_first = sorted(written, key=lambda form: (-len(form), form))
    bodies = [re.escape(form).replace(r"\ ", r"\s+").replace("'", "['’]") for form in longest_first]
    return re.compile(rf"(?<![\w\-/.])(?:{'|'.join(bodies)})(?![\w/]|-\w)", re.IGNORECASE)


def same_form(text: str) -> str:
    """Return a match as it stands among the forms."""
    return re.sub(r"\s+", " ", text).replace("’", "'").lower()


def link_first_uses(
    doctree: nodes.Node, places: Places, address: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Link the first use of each term; return what was linked: the word, and its anchor.

    Args:
        doctree: A page whose own links are resolved; changed in place.
        places: Page and anchor of each term, by every form in which it may be written.
        address: Of the pages that hold terms, as seen from this one.
    """
    if not places:
        return []
    found, used, linked = pattern(places), set(), []
    anchors = {anchor for _, anchor in places.values()}
    for node in list(running_prose(doctree)):
        if isinstance(node, nodes.reference):
            used |= {str(node.get("refuri", "")).partition("#")[2]} & anchors
            continue
        text, parts, end = node.astext(), [], 0
        for match in found.finditer(text):
            page, anchor = places[same_form(match[0])]
            if anchor in used:
                continue
            used.add(anchor)
            linked.append((match[0], anchor))
            parts += [
                nodes.Text(text[end : match.start()]),
                term_link(match[0], f"{address[page]}#{anchor}"),
            ]
            end = match.end()
        if parts:
            node.parent.replace(node, [*parts, nodes.Text(text[end:])])
    return linked


def running_prose(node: nodes.Node) -> Iterator[nodes.Text | nodes.reference]:
    """Yield pieces of text, and the links among them, in the order of reading."""
    for child in node.children:
        if isinstance(child, (nodes.Text, nodes.reference)):
            yield child
        elif not isinstance(child, SKIPPED) and OUTPUT not in child.get("classes", ()):
            yield from running_prose(child)


def term_link(word: str, address: str) -> nodes.reference:
    """Return a link that looks as one made by hand does."""
    link = nodes.reference("", "", internal=True, refuri=address)
    link += nodes.inline("", word, classes=["xref", "std", "std-term"])
    return link


def terms(app: Sphinx, by_hand: Collection[str]) -> Places:
    """Return the terms of the glossary but for some, in all their forms."""
    places: Places = {}
    for name, _, kind, page, anchor, _ in app.env.get_domain("std").get_objects():
        if kind == "term" and name not in by_hand:
            places.update({form: (page, anchor) for form in forms(name) if form not in places})
    return places


def link_page(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Link a page of the book."""
    if app.builder.format != "html" or UNLINKED.fullmatch(page):
        return
    places = terms(app, BY_HAND | ELSE.get(page, set()))
    address = {
        other: app.builder.get_relative_uri(page, other) for other, _ in set(places.values())
    }
    link_first_uses(doctree, places, address)


def setup(app: Sphinx) -> dict[str, object]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", link_page, priority=900)  # after all links of the author's
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
