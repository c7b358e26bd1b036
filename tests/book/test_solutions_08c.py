"""Proves that the exercises of `08c_robustness` have solutions; that checks find mistakes."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "08c_robustness.ipynb"
CELLS = nbformat.read(NOTEBOOK, as_version=4).cells
EXERCISES = [c.source for c in CELLS if "exercise" in c.metadata.get("tags", [])]
# A solution is a folded block of code; it defines what the exercise asks for.
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
SOLUTIONS = [code for c in CELLS if c.cell_type == "markdown" for code in FOLDED.findall(c.source)]
# What the cells before the exercises leave behind.
BEFORE = """
import numpy as np
from scipy.ndimage import gaussian_filter
"""
each = pytest.mark.parametrize("number", [0, 1, 2], ids=["1", "2", "3"])


def run(*code: str) -> dict[str, object]:
    """Execute code as the notebook would, and return all names."""
    names: dict[str, object] = {}
    for part in (BEFORE, *code):
        exec(compile(part, "notebook", "exec"), names)
    return names


def check(number: int) -> str:
    """Return an exercise's cell without the function that the reader mends."""
    attempt, *rest = ast.parse(EXERCISES[number]).body
    assert isinstance(attempt, ast.FunctionDef)
    return "\n".join(map(ast.unparse, rest))


def test_there_are_three_exercises_and_the_build_skips_them():
    assert len(EXERCISES) == len(SOLUTIONS) == 3
    tagged = [c.metadata.tags for c in CELLS if "exercise" in c.metadata.get("tags", [])]
    assert all("skip-execution" in tags for tags in tagged)


@each
def test_the_solution_passes(number):
    run(SOLUTIONS[number], check(number))


@each
def test_the_first_attempt_fails(number):
    with pytest.raises(AssertionError):
        run(EXERCISES[number])


MISTAKES = [
    (0, {"(errors.sum(1) / reference.sum(1)).mean()": "errors.sum() / reference.sum()"}),
    (0, {"(errors.sum(1) / reference.sum(1)).mean()": "(errors / reference).mean()"}),
    (0, {"errors.sum(1) / reference.sum(1)": "errors.sum(0) / reference.sum(0)"}),
    (1, {" / len(d) ** 0.5": ""}),
    (1, {"d.std(ddof=1)": "flip.std(ddof=1)"}),
    (1, {"d.std(ddof=1)": "abs(d).mean()"}),
    (2, {"a, b = a - a.mean(), b - b.mean()": "pass"}),
    (2, {"(a * b).sum()": "abs((a * b).sum())"}),
    (2, {"(a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())": "(a * b).sum() / (a**2).sum()"}),
]


@pytest.mark.parametrize(("number", "changes"), MISTAKES)
def test_a_likely_mistake_fails(number, changes):
    mistaken = SOLUTIONS[number]
    for right, wrong in changes.items():
        assert right in mistaken
        mistaken = mistaken.replace(right, wrong)
    with pytest.raises(AssertionError):
        run(mistaken, check(number))
