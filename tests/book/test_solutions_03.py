"""Proves that the exercises of chapter 3 have solutions, and that their checks find mistakes."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import torch

from cifar_lessons.experiment import num_parameters
from cifar_lessons.models.resnet import ResNet

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "03_resnet.ipynb"
CELLS = nbformat.read(NOTEBOOK, as_version=4).cells
EXERCISES = [c.source for c in CELLS if "exercise" in c.metadata.get("tags", [])]
# A solution is a folded block of code; it defines what the exercise asks for.
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
SOLUTIONS = [code for c in CELLS if c.cell_type == "markdown" for code in FOLDED.findall(c.source)]
# What the cells before the exercises leave behind: imports, the block, and a batch.
BEFORE = """
import torch
import torch.nn.functional as F
from torch import nn

from cifar_lessons.experiment import num_parameters
from cifar_lessons.models import build_model
from cifar_lessons.models.resnet import BasicBlock, ResNet

images, labels = torch.randn(16, 3, 32, 32), torch.arange(16) % 10
""" + next(c.source for c in CELLS if c.source.startswith("class Block"))
each = pytest.mark.parametrize("number", [0, 1, 2], ids=["1", "2", "3"])


def run(*code: str) -> dict[str, object]:
    """Execute code as the notebook would, and return all names."""
    torch.manual_seed(0)
    names: dict[str, object] = {}
    for part in (BEFORE, *code):
        exec(compile(part, "notebook", "exec"), names)
    return names


def check(number: int) -> str:
    """Return an exercise's cell without the function or class that the reader mends."""
    attempt, *rest = ast.parse(EXERCISES[number]).body
    assert isinstance(attempt, (ast.FunctionDef, ast.ClassDef))
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
    # The stride on the first 1x1, as in the paper: as many parameters, other outputs.
    (0, {"inputs, width, 1,": "inputs, width, 1, stride,", "3, stride,": "3, 1,"}),
    (0, {"self.shortcut(x) + ": ""}),
    (0, {"4 * width, 1, bias=False)": "4 * width, 1)"}),
    (1, {"27 * width + 2 * width": "27 * width"}),
    (1, {"4 * 2 * w  # a batch": "4 * w  # a batch"}),
    (1, {"inputs * w + 2 * w": "inputs * w"}),
    (1, {"inputs = w\n": "inputs = inputs\n"}),
    (2, {"nn.init.zeros_(block.bn2.weight)": "pass"}),
    (2, {"nn.init.zeros_(block.bn2.weight)": "nn.init.zeros_(block.conv2.weight)"}),
]


@pytest.mark.parametrize(("number", "changes"), MISTAKES)
def test_a_likely_mistake_fails(number, changes):
    mistaken = SOLUTIONS[number]
    for right, wrong in changes.items():
        assert right in mistaken
        mistaken = mistaken.replace(right, wrong)
    with pytest.raises(AssertionError):
        run(mistaken, check(number))


def test_solution_1_gives_the_parameters_of_resnet50_that_its_text_names():
    block = run(SOLUTIONS[0])["MyBottleneck"]
    with torch.device("meta"):  # shapes without numbers
        model = ResNet(block, (3, 4, 6, 3), num_classes=10, width=64, skip=True, norm=True)  # type: ignore[arg-type]
    assert num_parameters(model) == 23_520_842


def test_a_zeroed_first_scale_leaves_no_convolution_a_gradient_as_solution_3_says():
    # From the exercise's own attempt, up to the assertion that stops it.
    names = run(EXERCISES[2].split("asleep")[0])
    block = names["net"].layer1[0]  # type: ignore[attr-defined]
    assert not block.conv1.weight.grad.any()
    assert not block.conv2.weight.grad.any()
    assert block.bn2.bias.grad.any()
