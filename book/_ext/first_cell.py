"""The first cell of every notebook, the same in all; run as a script, it puts it there.

It works wherever a notebook is opened. A notebook that is opened alone, as on Colab, cannot read
`_config.yml`, so the public address that stands there is written into the cell: `make address`.
"""

import json
import sys
from pathlib import Path

import yaml
from public_address import tidy

ROOT = Path(__file__).resolve().parents[2]
# What the chapters use beyond the library's own needs (pyproject.toml).
EXTRAS = "[deploy,tune]"
CELL = """\
# The same in every chapter: find the library, and say which data, device and profile there are.
try:
    from cifar_lessons import notebook
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"{missing.name} is missing. WHERE, run this and restart the kernel:\\n"
        COMMANDS
    ) from None

session = notebook.start()"""


def source(address: str) -> str:
    """Return the cell's source.

    Args:
        address: Of the book's repository; empty if it is not public.
    """
    if address:
        where = "In a cell of its own"
        commands = f"""\
"!git clone {address} cifar-lessons\\n"
        '%pip install -q -e "./cifar-lessons{EXTRAS}"'"""
    else:
        where, commands = "In a clone of this book", f"""'%pip install -q -e "..{EXTRAS}"'"""
    return CELL.replace("WHERE", where).replace("COMMANDS", commands)


def address(config: Path = ROOT / "_config.yml") -> str:
    """Return the public address that the configuration names, or nothing."""
    return tidy(yaml.safe_load(config.read_text("utf-8")).get("repository", {}).get("url"))


def put(path: Path, cell: str) -> bool:
    """Replace the source of a notebook's first code cell; return whether it was another."""
    notebook = json.loads(path.read_text("utf-8"))
    first = next(c for c in notebook["cells"] if c["cell_type"] == "code")
    if "".join(first["source"]) == cell:
        return False
    first["source"] = cell.splitlines(keepends=True)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return True


def main() -> None:
    """Put the cell into every notebook and say which were changed."""
    cell = source(address())
    changed = [p.name for p in sorted((ROOT / "book").glob("*.ipynb")) if put(p, cell)]
    print(f"the first cell is now the same in all notebooks; changed: {', '.join(changed) or '-'}")


if __name__ == "__main__":
    sys.exit(main())
