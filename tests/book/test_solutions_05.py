"""Proves that the exercises of chapter 5 have solutions, and that their checks find mistakes."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import torch

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "05_precision.ipynb"
CELLS = nbformat.read(NOTEBOOK, as_version=4).cells
EXERCISES = [c.source for c in CELLS if "exercise" in c.metadata.get("tags", [])]
# A solution is a folded block of code; it defines what the exercise asks for.
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
SOLUTIONS = [code for c in CELLS if c.cell_type == "markdown" for code in FOLDED.findall(c.source)]
BEFORE = "import torch\nfrom torch import nn\n"
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
    (0, {" + last": ""}),  # ties away from zero
    (0, {"0x7FFF": "0x8000", " + last": ""}),
    (0, {">> 16": ">> 15"}),
    (1, {"    scaler.unscale_(optimizer)\n": ""}),
    (
        1,
        {
            "    scaler.unscale_(optimizer)\n": "",
            "limit)\n    scaler.step": "limit)\n    scaler.unscale_(optimizer)\n    scaler.step",
        },
    ),
    (2, {"x.float()": "x.bfloat16()"}),
    (2, {"(x - x.mean()).square().mean()": "(x.square().mean() - x.mean().half() ** 2)"}),
]


@pytest.mark.parametrize(("number", "changes"), MISTAKES)
def test_a_likely_mistake_fails(number, changes):
    mistaken = SOLUTIONS[number]
    for right, wrong in changes.items():
        assert right in mistaken
        mistaken = mistaken.replace(right, wrong)
    with pytest.raises(AssertionError):
        run(mistaken, check(number))


def test_the_order_that_the_chapter_prints_is_that_of_train_step():
    """The chapter shows the lines of the library without asking for them."""
    from inspect import getsource

    from cifar_lessons.training.step import train_step

    text = "\n".join(c.source for c in CELLS)
    [shown] = re.findall(r"```python\n(    optimizer.zero_grad.*?)```", text, re.DOTALL)
    source = re.sub(r"\n +", "\n", getsource(train_step))  # there, in a loop over parts
    source = source.replace("objective(model, part)", "objective(model, batch)")
    source = source.replace(
        "output.loss if len(parts) == 1 else output.loss * share", "output.loss"
    )
    places = [source.index(line.strip()) for line in shown.splitlines()]
    assert places == sorted(places)
