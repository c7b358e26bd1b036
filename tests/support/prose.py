"""What the book's authors wrote: the Markdown of notebooks and pages, and the names in it."""

import importlib
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
# The reference is made from docstrings, and lists what exists.
PAGES = sorted(
    {*(ROOT / "book").glob("*.ipynb"), *(ROOT / "book").glob("*.md")}
    - {*(ROOT / "book").glob("api*.md")}
)
WRITTEN = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*?)^\s*\1\s*$", re.DOTALL | re.MULTILINE)
# `code`, but neither the text of a role such as {term}`…` nor a part of a longer fence.
CODE = re.compile(r"(?<![`}])`([^`\n]+)`(?!`)")


def markdown(path: Path) -> str:
    """Return all the text of a page; of a notebook, that of its Markdown cells."""
    if path.suffix != ".ipynb":
        return path.read_text("utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def code_names(text: str) -> list[str]:
    """Return what stands in backticks in running text; code that is fenced is left out."""
    # A directive holds prose; only its fence goes.
    prose = FENCE.sub(lambda m: m[2] if m[2].startswith("{") else "", text)
    return CODE.findall(prose)


def commands(text: str) -> list[str]:
    """Return the arguments of each `cifar-lessons …`, in running text and behind a prompt."""
    typed = [c for c in code_names(text) if c.startswith("cifar-lessons ")]
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    typed += [line for line in lines if re.match(r"\s*\$ ", line)]
    found = []
    for line in typed:
        if m := re.search(r"(?:cifar-lessons|-m cifar_lessons)\s+(.*)", line):
            found.append(m[1].partition("  #")[0].partition(" # ")[0].strip())
    return found


def exists(name: str) -> bool:
    """Return whether a dotted name is a module, or something in one."""
    module, _, last = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        try:
            return hasattr(importlib.import_module(module), last)
        except ModuleNotFoundError:
            # A method or a field: of a class, which must exist.
            outer, _, cls = module.rpartition(".")
            owner = getattr(importlib.import_module(outer), cls, None) if exists(module) else None
            return hasattr(owner, last) or last in getattr(owner, "__dataclass_fields__", {})
    return True
