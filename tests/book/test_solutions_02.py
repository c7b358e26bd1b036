"""Proves that the solutions of chapter 2 pass the checks of its exercises, and the stubs fail."""

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from torch import nn

from cifar_lessons import models

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "02_first_cnn.ipynb"
CELLS = nbformat.read(NOTEBOOK, as_version=4).cells
EXERCISES = [c.source for c in CELLS if "exercise" in c.metadata.get("tags", [])]
# A solution is a folded block of code; it defines the function that the exercise asks for.
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
SOLUTIONS = [code for c in CELLS if c.cell_type == "markdown" for code in FOLDED.findall(c.source)]
PAIRS = list(zip(EXERCISES, SOLUTIONS, strict=True))


def run(*code: str | ast.Module) -> dict[str, Any]:
    """Execute code where the names of the notebook are known, and return all names."""
    names = {"torch": torch, "nn": nn, "models": models, "model": models.build_model("simple_cnn")}
    for part in code:
        exec(compile(part, "notebook", "exec"), names)
    return names


def check_of(exercise: str) -> ast.Module:
    """Return an exercise's cell without the function that the reader writes."""
    cell = ast.parse(exercise)
    rest = [node for node in cell.body if not isinstance(node, ast.FunctionDef)]
    assert len(rest) == len(cell.body) - 1
    return ast.Module(rest, type_ignores=[])


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_there_are_three_exercises():
    assert len(PAIRS) == 3


@pytest.mark.parametrize(("exercise", "solution"), PAIRS, ids=["1", "2", "3"])
def test_the_check_fails_on_the_stub_and_passes_on_the_solution(exercise, solution):
    with pytest.raises(AssertionError):
        run(exercise)
    run(solution, check_of(exercise))


def test_three_pools_are_not_enough_as_solution_2_says():
    simple = size(models.build_model("simple_cnn"))
    sizes = {
        p: size(models.build_model("deep_cnn", widths=[32, 64, 128, 256], pools=p)) for p in (3, 4)
    }
    assert sizes[4] < simple < sizes[3]


def test_the_average_head_leaves_the_parameters_that_solution_3_names():
    head = run(SOLUTIONS[2])["average_head"](64)
    convs = size(models.build_model("simple_cnn").convs)
    assert (convs, size(head)) == (19_392, 650)
    assert 100 < size(models.build_model("simple_cnn")) / (convs + size(head)) < 110
    assert head(torch.zeros(2, 64, 5, 9)).shape == (2, 10)  # any size of image
