"""Proves that the notebooks keep to the book's rules, without running them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from prose import exists

from cifar_lessons import evaluation_plots, inside_plots, plots
from cifar_lessons.robustness import figures as robustness
from cifar_lessons.speed import figures as speed

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
DRAWS = {
    name
    for name in plots.__all__
    if getattr(getattr(plots, name), "__annotations__", {}).get("return")
    in (plots.Figure, "Figure")
} | {"imshow", "subplots", "figure"}
DRAWS |= {
    name
    for module in (speed, evaluation_plots, robustness, inside_plots)
    for name, value in vars(module).items()
    if getattr(value, "__annotations__", {}).get("return") is speed.Figure
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
    called = {
        getattr(n.func, "attr", getattr(n.func, "id", ""))
        for n in ast.walk(tree)
        if isinstance(n, ast.Call)
    }
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    if called & DRAWS and len(alt.split()) < 4:
        yield f"draws with {min(called & DRAWS)} and has no alt text in metadata.mystnb.image.alt"


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


def good() -> NotebookNode:
    """Return a notebook that keeps to every rule."""
    alt = {"mystnb": {"image": {"alt": "Two curves that fall over ten epochs."}}}
    words = (
        "# Title\n\nThe 95 % interval of `cifar_lessons.runs.load_run`, see [this](a%20b).\n\n"
        "> The article says 72 %.\n\n```python\nx = '72 %'\n```\n"
    )
    cells = [
        new_markdown_cell(words),
        new_code_cell(START),
        new_code_cell("plots.curves(runs)", metadata=alt),
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
        (new_code_cell("plots.curves(runs)"), "no alt text"),
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
