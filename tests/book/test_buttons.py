"""Proves that one setting gives the pages their buttons, and that without it there is none.

It builds a book of two pages with the configuration of the book; the address is made up.
"""

import subprocess
import sys
from pathlib import Path

import nbformat
import yaml
from bs4 import BeautifulSoup
from nbformat.v4 import new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://github.com/example/lessons"
# No npm files, no demo and no kernel are needed for this.
LEFT_OUT = {"offline_assets", "browser_demo", "execution_cache", "sphinxcontrib.bibtex"}


def build(folder: Path, address: str) -> dict[str, set[str]]:
    """Return where the links of each page lead that leave the book."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    assert config["repository"]["url"] is not None
    config["repository"]["url"] = address
    config["execute"] = {"execute_notebooks": "off"}
    del config["bibtex_bibfiles"], config["html"]["favicon"]
    sphinx = config["sphinx"]
    sphinx["local_extensions"] = {
        name: str(ROOT / path)
        for name, path in sphinx["local_extensions"].items()
        if name not in LEFT_OUT
    }
    extensions = sphinx["config"]["extensions"]
    sphinx["config"]["extensions"] = [e for e in extensions if e not in LEFT_OUT]
    for name in [n for n in sphinx["config"] if n.startswith("bibtex_")]:
        del sphinx["config"][name]
    book = folder / "book"
    book.mkdir(parents=True)
    (book / "index.md").write_text("# A page\n")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(
        cells=[new_markdown_cell("# A chapter")], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, book / "01_chapter.ipynb")
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    contents = {"format": "jb-book", "root": "index", "chapters": [{"file": "01_chapter"}]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(contents))
    arguments = ["build", "book", "-W", "--path-output", "."]
    arguments += ["--config", str(folder / "_config.yml"), "--toc", str(folder / "_toc.yml")]
    done = subprocess.run(
        [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    html = folder / "_build" / "html"
    soups = {
        name: BeautifulSoup((html / f"{name}.html").read_text("utf-8"), "html.parser")
        for name in ("index", "01_chapter")
    }
    return {
        name: {a["href"] for a in soup.find_all("a", href=True) if "://" in a["href"]}
        for name, soup in soups.items()
    }


def test_with_an_address_each_page_has_its_buttons(tmp_path):
    links = build(tmp_path, ADDRESS)
    assert ADDRESS in links["index"] & links["01_chapter"]
    issue = f"{ADDRESS}/issues/new?title=Issue%20on%20page%20%2F01_chapter.html"
    assert [a for a in links["01_chapter"] if a.startswith(issue)]
    colab = (
        "https://colab.research.google.com/github/example/lessons/blob/main/book/01_chapter.ipynb"
    )
    assert colab in links["01_chapter"]
    assert not [a for a in links["index"] if "colab" in a]


def test_without_one_no_button_is_shown(tmp_path):
    links = build(tmp_path, "")
    found = {a for page in links.values() for a in page}
    assert not [a for a in found if "colab" in a or "github.com" in a or "issues" in a]
