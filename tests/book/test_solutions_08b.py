"""Proves that the exercises of `08b_inside` have solutions, and that their checks find mistakes."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import torch

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "08b_inside.ipynb"
CELLS = nbformat.read(NOTEBOOK, as_version=4).cells
EXERCISES = [c.source for c in CELLS if "exercise" in c.metadata.get("tags", [])]
# A solution is a folded block of code; it defines what the exercise asks for.
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
SOLUTIONS = [code for c in CELLS if c.cell_type == "markdown" for code in FOLDED.findall(c.source)]
# What the cells before the exercises leave behind: imports, a network, and a batch.
BEFORE = """
import numpy as np
import torch
import torch.nn.functional as F

from cifar_lessons.config import DataConfig
from cifar_lessons.evaluation import explain, outsiders
from cifar_lessons.models import build_model

model = build_model("resnet18", width=4).eval()
images, said = torch.randn(6, 3, 32, 32), torch.tensor([3, 0, 9, 9, 5, 1])
""" + next(c.source for c in CELLS if c.source.startswith("def maps_and_logits")).split("\n\n\n")[0]
each = pytest.mark.parametrize("number", [0, 1, 2], ids=["1", "2", "3"])


def run(*code: str) -> dict[str, object]:
    """Execute code as the notebook would, and return all names."""
    torch.manual_seed(0)
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
    (0, {" / positions": ""}),
    (0, {"[target]": "[target * 0]"}),
    (0, {"F.relu((weights * maps).sum(1, keepdim=True))": "(weights * maps).sum(1, keepdim=True)"}),
    (1, {"-mean / std": "mean / std"}),
    (1, {"-mean / std": "-mean"}),
    (1, {"hidden[..., top : top + side, left": "hidden[..., top : top + side + 1, left"}),
    (2, {"(size - 1) / 2": "(size - 1)"}),
    (2, {"last - (size - 1) / 2": "last"}),
    (2, {"(len(inside) + 1) / 2": "(len(inside) - 1) / 2"}),
]


@pytest.mark.parametrize(("number", "changes"), MISTAKES)
def test_a_likely_mistake_fails(number, changes):
    mistaken = SOLUTIONS[number]
    for right, wrong in changes.items():
        assert right in mistaken
        mistaken = mistaken.replace(right, wrong)
    with pytest.raises(AssertionError):
        run(mistaken, check(number))


@pytest.mark.parametrize("mine", ["my_grad_cam", "my_occlusion"])
def test_the_maps_from_scratch_are_the_librarys_for_any_network(mine):
    """Also where the book is built without a recorded network."""
    cell = next(c.source for c in CELLS if f"def {mine}" in c.source)
    names = run(cell.split("\n\n\n")[0])
    from_scratch, model, images, said = (names[k] for k in (mine, "model", "images", "said"))
    from cifar_lessons.evaluation import explain

    library = explain.grad_cam if "cam" in mine else explain.occlusion
    torch.testing.assert_close(
        from_scratch(model, images, said),  # type: ignore[operator]
        library(model, images, said),  # type: ignore[arg-type]
        atol=1e-5,
        rtol=1e-3,
    )
