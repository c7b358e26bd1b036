"""Proves that the reference lists the whole library."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_module_stands_in_the_reference():
    pages = [path.read_text() for path in (ROOT / "book").glob("api_*.md")]
    listed = {name for page in pages for name in re.findall(r"automodule:: (\S+)", page)}
    modules = set()
    for path in (ROOT / "cifar_lessons").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        # A package that only holds modules has nothing of its own to say.
        if re.search(r"^(def|class) ", path.read_text(), re.MULTILINE):
            modules.add(name)
    # The command line has `--help`.
    commands = (
        *("__main__", "bench_commands", "cli", "deploy.command", "folds.command"),
        *("deploy.demo_command", "enas.command", "finetuning.command", "serving.command"),
        *("evaluation_commands", "training_commands", "tuning.command", "typed"),
    )
    modules -= {f"cifar_lessons.{name}" for name in commands}
    assert modules - listed == set()
    assert listed - modules == set()


def test_no_property_begins_with_words_that_the_reference_takes_for_its_type():
    """Sphinx reads what stands before the first `: ` of a property's first line as its type."""
    for path in (ROOT / "cifar_lessons").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                made = {ast.unparse(decorator) for decorator in node.decorator_list}
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                if made & {"property", "functools.cached_property", "cached_property"}:
                    assert ": " not in first, f"{path.name}, {node.name}: {first}"
