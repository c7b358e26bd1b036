"""Proves that the reference lists the whole library."""

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
