"""Proves that the notebooks keep to the book's rules, without running them."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from prose import exists

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))

MOST_CELLS, MOST_LINES = 25, 12  # beside the first cell, which all chapters share
# What belongs into the library, or was done by `make data`.
FORBIDDEN = {
    r"rcParams|plt\.style|plt\.rc\b|sns\.set|set_theme": "styling",
    r"download\s*=\s*True|urlretrieve|urlopen|requests\.get|\bwget\b|\bcurl\b": "a download",
}
# A number that a run should give. "95 % interval" names a kind of interval and is no result.
TYPED_RESULT = re.compile(
    r"\d\s?\\?%(?!\s*(?:confidence|interval))"
    r"|\d\s(?:per ?cent|percent|(?:percentage )?points?)\b"
    r"|accurac\w+\W+(?:\w+\W+){0,3}?0?\.\d",
    re.IGNORECASE,
)
# What draws: every function of the library that returns a figure, and matplotlib's own. Each is
# called as that of a module of figures: arrays have a trace, and strings a partition, too.
FIGURES = re.compile(r"(^|_)(plots|figures)$|^(ep|plt)$")
DRAWS = {"imshow", "subplots", "figure"} | {
    function.name
    for path in (ROOT / "cifar_lessons").rglob("*.py")
    for function in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(function, ast.FunctionDef)
    and not function.name.startswith("_")
    and function.returns is not None
    and ast.unparse(function.returns).split(".")[-1] in ("Figure", "BookFigure", "Figure | None")
}


def prose(markdown: str) -> Iterator[str]:
    """Yield the lines that are the author's words: no code, no link target, no quotation.

    The text inside a directive (a fence such as ```{note}) is prose too.
    """
    code, directives = "", 0
    for line in markdown.splitlines():
        fence = re.match(r"\s*(`{3,}|~{3,})\s*(.*)", line)
        if code:
            if fence and fence[1].startswith(code) and not fence[2]:
                code = ""
        elif fence and fence[2].startswith("{") and not fence[2].startswith("{code"):
            directives += 1
        elif fence and not fence[2] and directives:
            directives -= 1
        elif fence:
            code = fence[1]
        elif not line.lstrip().startswith(">"):
            yield re.sub(r"`[^`]*`|\]\([^)]*\)|<[^>]*>", " ", line)


def prose_faults(cell: NotebookNode) -> Iterator[str]:
    if "article" not in cell.metadata.get("tags", []):
        for line in prose(cell.source):
            if found := TYPED_RESULT.search(line):
                yield f"a typed result {found[0]!r} in {line.strip()!r}: print it from a run"
    for name in re.findall(r"`(cifar_lessons(?:\.\w+)+)", cell.source):
        if not exists(name):
            yield f"`{name}` is not in the library"


def code_faults(cell: NotebookNode) -> Iterator[str]:
    source = cell.source
    if cell.outputs or cell.execution_count is not None:
        yield "stored outputs or an execution count"
    if len(source.splitlines()) > MOST_LINES:
        yield f"{len(source.splitlines())} lines, more than {MOST_LINES}"
    for pattern, what in FORBIDDEN.items():
        if found := re.search(pattern, source):
            yield f"{what}: {found[0]!r}"
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        yield f"no plain Python: {error.text!r}"
        return
    called = {n.func.attr for n in ast.walk(tree) if draws(n)}
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    if called and len(alt.split()) < 4:
        yield f"draws with {min(called)} and has no alt text in metadata.mystnb.image.alt"
    figures = figures_of(cell)
    if len(figures) > 1 and any(len(figure.get("alt", "").split()) < 4 for figure in figures):
        yield "draws several figures, so each needs an alt text of its own in mystnb.figures"
    captions = [figure.get("caption", "") for figure in figures]
    if called and not captions:
        yield f"draws with {min(called)} and has no caption in metadata.mystnb.figures"
    for caption in captions:
        # A result in a caption would be typed by hand, and would stand there before the guess.
        if len(caption.split()) < 3 or not caption.endswith((".", "?")):
            yield f"the caption {caption!r} is no sentence"
        if found := TYPED_RESULT.search(caption):
            yield f"a typed result {found[0]!r} in the caption {caption!r}"


def draws(node: ast.AST) -> bool:
    """Return whether a piece of code is a call that draws."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and FIGURES.search(node.func.value.id) is not None
        and node.func.attr in DRAWS
    )


def figures_of(cell: NotebookNode) -> list[dict[str, str]]:
    """Return name and caption of each figure that a cell draws (book/_ext/figures.py)."""
    return cell.metadata.get("mystnb", {}).get("figures", [])


def drawn_for_sure(cell: NotebookNode) -> bool:
    """Return whether a cell draws without a condition; else a page may lack the figure."""
    tree = ast.parse(cell.source)
    conditional = {
        id(inner) for node in ast.walk(tree) if isinstance(node, ast.If) for inner in ast.walk(node)
    }
    return any(draws(node) and id(node) not in conditional for node in ast.walk(tree))


def reference_faults(notebooks: dict[str, NotebookNode]) -> list[str]:
    """Return what is wrong with names of figures, and with the links to them, in a whole book."""
    found, where = [], {}
    for page, notebook in notebooks.items():
        for cell in notebook.cells:
            for figure in figures_of(cell) if cell.cell_type == "code" else ():
                name = figure.get("name", "")
                if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
                    found.append(f"{page}: {name!r} is no name such as edge-filters")
                if name in where:
                    found.append(f"{page}: {name} is the name of a figure in {where[name][0]} too")
                where[name] = (page, drawn_for_sure(cell))
    for page, notebook in notebooks.items():
        for cell in notebook.cells:
            for path, name in re.findall(r"\[[Tt]he figure\]\(([^)#]*)#([^)]*)\)", cell.source):
                home, sure = where.get(name, ("", False))
                if (path or page) != home:
                    found.append(f"{page}: no figure {name} in {path or page}")
                elif not sure:
                    found.append(f"{page}: {name} is not drawn on every page, so it has no number")
    return found


def faults(notebook: NotebookNode) -> list[str]:
    """Return what breaks the rules, a line each."""
    found = []
    code = [c for c in notebook.cells if c.cell_type == "code"]
    if len(code) > MOST_CELLS + 1:
        found.append(f"{len(code)} code cells, more than {MOST_CELLS} and the first")
    if not code or not re.search(
        r"from cifar_lessons import .*\bnotebook\b|import cifar_lessons\.notebook", code[0].source
    ):
        found.append("the first code cell does not import cifar_lessons.notebook")
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel is not python3")
    if "widgets" in notebook.metadata:
        found.append("stored outputs: widget state")
    for number, cell in enumerate(notebook.cells):
        check = {"code": code_faults, "markdown": prose_faults}[cell.cell_type]
        found += [f"cell {number}: {fault}" for fault in check(cell)]
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebook_keeps_to_the_rules(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert faults(notebook) == []


def test_figures_have_names_of_their_own_and_links_lead_to_them():
    books = {path.name: nbformat.read(path, as_version=4) for path in NOTEBOOKS}
    assert sum(len(figures_of(c)) for n in books.values() for c in n.cells) > 100
    assert reference_faults(books) == []


def test_contents_list_every_notebook_and_nothing_that_is_missing():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters = [c for part in toc["parts"] for c in part["chapters"]]
    inside = [section["file"] for c in chapters for section in c.get("sections", [])]
    listed = [toc["root"], *(c["file"] for c in chapters), *inside]
    pages = [p.stem for p in (ROOT / "book").iterdir() if p.suffix in (".md", ".ipynb")]
    assert [name for name in listed if pages.count(name) != 1] == []
    assert {p.stem for p in NOTEBOOKS} <= set(listed)


START = "from cifar_lessons import notebook"
KERNEL = {"name": "python3", "display_name": "Python 3"}


def drawing(
    alt: str = "Two curves that fall over ten epochs.",
    figures: Sequence[dict[str, str]] = ({"name": "two", "caption": "Two curves, live."},),
) -> dict[str, Any]:
    """Return the metadata of a cell that draws."""
    return {"mystnb": {"image": {"alt": alt}, "figures": list(figures)}}


def good() -> NotebookNode:
    """Return a notebook that keeps to every rule."""
    words = (
        "# Title\n\nThe 95 % interval of `cifar_lessons.runs.load_run`, see [this](a%20b).\n\n"
        "> The article says 72 %.\n\n```python\nx = '72 %'\n```\n"
    )
    cells = [
        new_markdown_cell(words),
        new_code_cell(START),
        new_code_cell("plots.curves(runs)", metadata=drawing()),
        new_markdown_cell("It reaches 72 %.", metadata={"tags": ["article"]}),
    ]
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


def test_a_good_notebook_has_no_faults():
    assert faults(good()) == []


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (new_code_cell("1", execution_count=1), "execution count"),
        (new_code_cell("\n".join(["x = 1"] * 13)), "13 lines"),
        (new_code_cell("%matplotlib inline"), "no plain Python"),
        (new_code_cell("!pip install torch"), "no plain Python"),
        (new_code_cell("plt.rcParams['figure.dpi'] = 80"), "styling"),
        (new_code_cell("CIFAR10('.', download=True)"), "a download"),
        (new_code_cell("plots.curves(runs)", metadata=drawing(alt="")), "no alt text"),
        (new_code_cell("plots.curves(runs)", metadata=drawing(figures=[])), "no caption"),
        (new_code_cell("x", metadata=drawing(figures=[{"caption": "Loss"}])), "is no sentence"),
        (
            new_code_cell(
                "x", metadata=drawing(figures=[{"caption": "Deep networks reach 93 %."}])
            ),
            "a typed result '3 %' in the caption",
        ),
        (new_markdown_cell("It reaches 93.4 %."), "93"),
        (new_markdown_cell("It reaches $93\\%$."), "typed result"),
        (new_markdown_cell("```{note}\nA gain of 2 points.\n```"), "typed result"),
        (new_markdown_cell("An accuracy of 0.93."), "typed result"),
        (
            new_markdown_cell("See `cifar_lessons.runs.nonsense`."),
            "nonsense` is not in the library",
        ),
        (new_markdown_cell("See `cifar_lessons.runs.Run.nonsense`."), "is not in the library"),
    ],
)
def test_a_fault_is_found(cell, words):
    notebook = good()
    notebook.cells.append(cell)
    found = faults(notebook)
    assert len(found) == 1
    assert words in found[0]


def test_faults_of_the_whole_notebook_are_found():
    notebook = good()
    notebook.cells = [new_code_cell("x = 1")] * 27
    notebook.metadata = nbformat.from_dict({})
    assert "27 code cells" in faults(notebook)[0]
    assert "does not import cifar_lessons.notebook" in faults(notebook)[1]
    assert "kernel" in faults(notebook)[2]


@pytest.mark.parametrize(
    ("source", "text", "words"),
    [
        ("plots.curves(r)", "See [the figure](#two).", None),
        ("plots.curves(r)", "[The figure](a.ipynb#two) and [this](#elsewhere).", None),
        ("plots.curves(r)", "See [the figure](#three).", "no figure three in a.ipynb"),
        ("plots.curves(r)", "See [the figure](b.ipynb#two).", "no figure two in b.ipynb"),
        ("if r:\n    plots.curves(r)", "See [the figure](#two).", "not drawn on every page"),
    ],
)
def test_a_link_to_a_figure_that_may_be_missing_is_found(source, text, words):
    cells = [new_code_cell(source, metadata=drawing()), new_markdown_cell(text)]
    found = reference_faults({"a.ipynb": new_notebook(cells=cells)})
    assert len(found) == (words is not None)
    assert words is None or words in found[0]


def test_two_figures_of_one_name_are_found():
    twice = [new_code_cell("plots.curves(r)", metadata=drawing()) for _ in range(2)]
    pages = {"a.ipynb": new_notebook(cells=twice[:1]), "b.ipynb": new_notebook(cells=twice[1:])}
    assert reference_faults(pages) == ["b.ipynb: two is the name of a figure in a.ipynb too"]
