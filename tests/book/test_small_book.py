"""Proves on a book of four small pages that figures are numbered and light, that formulas are set,
and what a PDF shows of them.

Its notebooks hold their outputs, so nothing is executed. The real book takes minutes.
"""

import base64
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from cifar_lessons.tables import Cell, Table

EXT = Path(__file__).resolve().parents[2] / "book" / "_ext"
APT = (
    "sudo apt-get install --no-install-recommends "
    "texlive-xetex latexmk texlive-fonts-recommended fonts-dejavu"
)
CONF = f"""
import sys
sys.path.insert(0, {str(EXT)!r})
project, author, html_title = "Small_book", "A & B", "Small_book"
extensions = ["myst_nb", "sphinx_external_toc", "sphinx_multitoc_numbering", "figures", "paper"]
extensions[2:2] = ["formulas", "light_pictures", "sphinxcontrib.bibtex"]
html_math_renderer = "katex"
bibtex_bibfiles = ["references.bib"]
nb_execution_mode = "off"
nb_render_markdown_format = "myst"
myst_enable_extensions = ["dollarmath"]
external_toc_path = "_toc.yml"
"""
TOC = """
format: jb-book
root: index
parts:
  - caption: Start
    numbered: 1
    chapters:
      - file: one
        sections:
          - file: below
  - caption: Train
    numbered: 1
    chapters:
      - file: two
  - caption: Reference
    chapters:
      - file: references
"""


def picture() -> NotebookNode:
    buffer = io.BytesIO()
    Figure(figsize=(1, 1)).savefig(buffer, format="png")
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "<Figure>"}
    return new_output("display_data", data)


def shown(thing: Any) -> NotebookNode:
    data = {"text/html": thing._repr_html_(), "text/plain": repr(thing)}
    return new_output("display_data", data)


def drawing(*names: str, also: tuple[NotebookNode, ...] = ()) -> NotebookNode:
    figures = [{"name": name, "caption": f"What `{name}` shows."} for name in names]
    figures[1:] = [figure | {"alt": f"Words on {figure['name']} alone"} for figure in figures[1:]]
    meta = {"mystnb": {"figures": figures, "image": {"alt": "Four words on it"}}}
    cell = new_code_cell("plots.curves()", metadata=meta)
    cell.outputs = [*also, *(picture() for _ in names)]
    return cell


WIDE = Table(
    [f"Column {i}" for i in range(9)],
    [[Cell("unbreakable_name_of_a_recipe", code=True), *["some words to say"] * 8]],
    "A wide table",
)
SPRITE = base64.b64encode(bytes(range(256)) * 100).decode()
SCRIPT = new_output(
    "display_data",
    {"text/html": f"<script>show('data:image/webp;base64,{SPRITE}')</script>", "text/plain": "-"},
)
WIDGET = new_output(
    "display_data",
    {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "HBox()"},
)
QUIZ = """## Quiz

**1.** Which?

<details class="cl-answer"><summary>A. This one.</summary>

*Not quite.* A wrong reason.

</details>

<details class="cl-answer"><summary>B. That one.</summary>

*Right.* A good reason.

</details>
"""
EXERCISES = """## Exercises

### 1. Bins

Mend it.

<details>
<summary>Solution</summary>

Like this: $x^2 ≥ 0$.

</details>

### 2. More

Mend that.
"""


def notebook(*cells: NotebookNode) -> NotebookNode:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(
        cells=list(cells), metadata={"kernelspec": kernel, "language_info": {"name": "python"}}
    )


PAGES = {
    "one": notebook(
        new_markdown_cell("# First\n\nLook at [the figure](two.ipynb#far-away) first.\n\n## Inner"),
        drawing("early", also=(shown(WIDE),)),
        drawing("early-twin", "late"),
        new_markdown_cell("As [the figure](#late) shows, and [this link](#late) too."),
        new_markdown_cell(QUIZ),
        new_markdown_cell(EXERCISES),
    ),
    "below": notebook(new_markdown_cell("# Below\n\n## Inner still"), drawing("further")),
    "two": notebook(
        new_markdown_cell("# Second\n\nBy {cite}`he`."),
        drawing("far-away"),
        drawing("wanted", also=(WIDGET, SCRIPT)),
    ),
}


def write(folder: Path, pages: dict[str, NotebookNode]) -> None:
    folder = folder / "book"
    folder.mkdir()
    (folder / "conf.py").write_text(CONF)
    (folder / "_toc.yml").write_text(TOC)
    (folder / "references.bib").write_text("@misc{he, title={Depth}, author={He}, year={2015}}")
    (folder / "index.md").write_text("# Small book\n\nA preface.\n\n## For whom\n\nFor all.\n")
    (folder / "references.md").write_text("# References\n\n```{bibliography}\n```\n")
    for name, page in pages.items():
        (folder / f"{name}.ipynb").write_text(nbformat.writes(page))


def build(folder: Path, builder: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sphinx", "-q", "-b", builder, "-W", "--keep-going"]
    places = [folder / "book", folder / "_build" / builder, "-d", folder / "_build" / "trees"]
    return subprocess.run(
        [*command, *map(str, places)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small_book")
    write(folder, PAGES)
    for builder in ("html", "latex"):
        done = build(folder, builder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def tex(book) -> str:
    return (book / "_build" / "latex" / "cifar-lessons.tex").read_text()


# --- Pages ---------------------------------------------------------------------------------


def page(book: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((book / "_build" / "html" / f"{name}.html").read_text(), "html.parser")


def test_figures_are_numbered_by_chapter_and_on_through_the_pages_below(book):
    numbers = {
        figure["id"]: figure.select_one(".caption-number").get_text().strip()
        for name in PAGES
        for figure in page(book, name).find_all("figure")
    }
    assert numbers == {
        "early": "Figure 1.1:",
        "early-twin": "Figure 1.2:",
        "late": "Figure 1.3:",
        "further": "Figure 1.4:",
        "far-away": "Figure 2.1:",
        "wanted": "Figure 2.2:",
    }


def test_a_figure_holds_its_picture_with_alt_text_and_no_table(book):
    for figure in page(book, "one").find_all("figure"):
        own = {"late": "Words on late alone"}
        alt = own.get(figure["id"], "Four words on it")
        assert [image["alt"] for image in figure.find_all("img")] == [alt]
        assert figure.find("table") is None
        assert figure.select_one(".caption-text code").get_text() == figure["id"]


def test_links_that_say_the_figure_become_its_number_and_others_stay(book):
    links = page(book, "one").select("p a.internal")
    assert [(a.get_text(), a["href"]) for a in links if "#" in a["href"]] == [
        ("Figure 2.1", "two.html#far-away"),
        ("Figure 1.3", "#late"),
        ("this link", "#late"),
    ]


def test_the_build_refuses_names_that_come_twice_links_to_nowhere_and_pictures_without_caption(
    tmp_path,
):
    cells = [drawing("one-name"), drawing("one-name"), drawing("single", also=(picture(),))]
    link = new_markdown_cell("# Below\n\nSee [the figure](#nowhere).")
    write(tmp_path, {**PAGES, "below": notebook(link, *cells)})
    done = build(tmp_path, "dummy")
    assert done.returncode != 0
    for words in ("one-name", "nowhere", "draws 2 figures and has captions for 1"):
        assert words in done.stderr


def test_formulas_are_set_for_the_eye_and_for_a_screen_reader(book):
    set_ = page(book, "one").select_one(".math .katex")
    assert "x" in set_.select_one("math mi").get_text()
    assert set_.select_one(".katex-html")["aria-hidden"] == "true"
    assert not page(book, "one").find("script", src=re.compile("(?i)mathjax|katex"))


def test_the_build_refuses_a_formula_that_can_not_be_set(tmp_path):
    wrong = new_markdown_cell(r"# Below" + "\n\n" + r"See $\undefinedthing$.")
    write(tmp_path, {**PAGES, "below": notebook(wrong)})
    done = build(tmp_path, "html")
    assert done.returncode != 0
    assert r"\undefinedthing" in done.stderr


def test_pictures_are_webp_on_a_page_and_png_on_paper_with_the_same_pixels(book):
    names = [i["src"] for i in page(book, "two").select("figure img")]
    assert len(names) == 2
    assert all(name.endswith(".webp") for name in names)
    png = io.BytesIO(base64.b64decode(picture().data["image/png"]))
    with Image.open(book / "_build" / "html" / names[0]) as light, Image.open(png) as drawn:
        assert np.array_equal(light.convert("RGBA"), drawn.convert("RGBA"))
    assert list((book / "_build" / "latex").glob("*.png"))


def test_what_a_script_brings_along_becomes_a_file(book):
    html = (book / "_build" / "html" / "two.html").read_text()
    [name] = re.findall(r"show\('(_images/\w+\.webp)'\)", html)
    assert (book / "_build" / "html" / name).read_bytes() == base64.b64decode(SPRITE)


# --- Paper ---------------------------------------------------------------------------------


def test_parts_and_chapters_are_those_of_the_contents(tex):
    headings = re.findall(r"\\(part|chapter|section)\{(.*?)\}", tex)
    assert headings == [
        ("chapter", "About this book"),
        ("section", "For whom"),
        ("part", "Start"),
        ("chapter", "First"),
        ("section", "Inner"),
        ("section", "Quiz"),
        ("section", "Exercises"),
        ("section", "Below"),
        ("part", "Train"),
        ("chapter", "Second"),
        ("part", "Reference"),
    ]
    depths = re.findall(r"secnumdepth\}\{(-?\d)\}", tex.partition(r"\begin{document}")[2])
    assert depths == ["-1", "0", "0", "-1"]  # preface and reference bear no number


def test_text_on_paper_refers_to_figures_by_their_numbers(tex):
    assert r"\hyperref[\detokenize{two:far-away}]{Figure \ref{\detokenize{two:far-away}}}" in tex
    assert tex.count(r"\caption{") == 6


def test_tables_are_set_small_enough_and_widgets_are_named(tex):
    assert r"\begingroup\footnotesize" in tex
    assert r"unbreakable\_name\_of\_a\_recipe" in tex
    assert "a control to move" in tex
    assert "HBox" not in tex


def test_sources_come_once_under_one_title(tex):
    assert tex.count(r"\bibitem") == 1
    assert r"\chapter{References}" not in tex  # LaTeX gives a list of sources its own


def test_answers_and_solutions_stand_behind_the_last_question_and_exercise(tex):
    order = ["A. This one.", "B. That one.", "1 B.", "A good reason", "Mend it", "Mend that"]
    order += ["Exercise 1. Bins", "Like this"]
    places = [tex.index(words) for words in order]
    assert places == sorted(places)
    assert "A wrong reason" not in tex


@pytest.mark.skipif(not shutil.which("xelatex"), reason=f"no LaTeX; {APT}")
def test_latex_sets_it_without_a_missing_sign_or_number(book, tex):
    folder = book / "_build" / "latex"
    for _ in range(2):
        done = subprocess.run(
            ["xelatex", "-interaction=nonstopmode", "-halt-on-error", "cifar-lessons.tex"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
    log = (folder / "cifar-lessons.log").read_text(errors="replace")
    assert re.findall(r"Missing character.*|.*undefined.*", log) == []
    # The width that a wide table is over by, in points.
    assert [w for w in re.findall(r"Overfull .hbox \(([\d.]+)pt", log) if float(w) > 5] == []
    assert (folder / "cifar-lessons.pdf").stat().st_size > 10_000
