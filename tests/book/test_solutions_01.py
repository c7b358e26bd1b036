"""Proves that the exercises of chapter 01 have solutions, and that their checks find mistakes.

An exercise is a code cell tagged `exercise`: a function to mend, then the check. Its solution
stands folded in the text cell that follows.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
import torch

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "01_data.ipynb"


class Exercise(NamedTuple):
    attempt: str  # the function as a reader finds it
    check: str
    solution: str


def read() -> tuple[str, dict[str, Exercise]]:
    """Return the notebook's imports, and its exercises by the name of their function."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    imports, found = [], {}
    for number, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        imports += [
            ast.unparse(n) for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))
        ]
        if "exercise" in cell.metadata.get("tags", []):
            function, *check = tree.body
            assert isinstance(function, ast.FunctionDef)
            [solution] = re.findall(
                r"<details>.*?```python\n(.*?)```.*?</details>", cells[number + 1].source, re.DOTALL
            )
            found[function.name] = Exercise(
                ast.unparse(function), "\n".join(map(ast.unparse, check)), solution
            )
    return "\n".join(imports), found


IMPORTS, EXERCISES = read()


def attempt(name: str, function: str) -> None:
    """Run the exercise's check on a function, as the notebook would."""
    torch.manual_seed(0)
    exec(f"{IMPORTS}\n{function}\n{EXERCISES[name].check}", {})


def test_there_are_three_exercises_and_the_build_skips_them():
    assert list(EXERCISES) == ["running_statistics", "cover", "folds"]
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    tagged = [c.metadata.tags for c in cells if "exercise" in c.metadata.get("tags", [])]
    assert all("skip-execution" in tags for tags in tagged)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_passes(name):
    attempt(name, EXERCISES[name].solution)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_first_attempt_fails(name):
    with pytest.raises(AssertionError):
        attempt(name, EXERCISES[name].attempt)


BATCH_MEANS = """
def running_statistics(batches):
    means = torch.stack([(b.double() / 255).mean((0, 2, 3)) for b in batches])
    squares = torch.stack([(b.double() / 255).square().mean((0, 2, 3)) for b in batches])
    mean = means.mean(0)  # the short batch counts as much as a full one
    return mean, (squares.mean(0) - mean**2).sqrt()
"""
SLICES = """
def cover(images, centres, side):
    images = images.clone()
    for image, (row, column) in zip(images, centres.tolist()):
        top, left = row - side // 2, column - side // 2  # may be negative
        image[:, top : top + side, left : left + side] = 0
    return images
"""
IN_ORDER = """
def folds(labels, k, rng):
    fold = np.empty(len(labels), int)
    fold[np.argsort(labels)] = np.arange(len(labels)) % k  # even, and the same for every rng
    return fold
"""


@pytest.mark.parametrize(
    ("name", "function"),
    [("running_statistics", BATCH_MEANS), ("cover", SLICES), ("folds", IN_ORDER)],
)
def test_a_likely_mistake_fails(name, function):
    with pytest.raises(AssertionError):
        attempt(name, function)
