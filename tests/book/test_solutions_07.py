"""Proves that the exercises of chapter 7 have solutions, and that their checks find mistakes."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "07_many_machines.ipynb"
CELLS = nbformat.read(NOTEBOOK, as_version=4).cells
EXERCISES = [c.source for c in CELLS if "exercise" in c.metadata.get("tags", [])]
# A solution is a folded block of code; it defines what the exercise asks for.
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
SOLUTIONS = [code for c in CELLS if c.cell_type == "markdown" for code in FOLDED.findall(c.source)]
# What the cells before the exercises leave behind: imports, `gradient`, a model, and a batch.
BEFORE = """
import torch
import torch.nn.functional as F
from torch import nn

images, labels = torch.randn(16, 3, 32, 32), torch.arange(16) % 10
model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
""" + next(c.source for c in CELLS if c.source.startswith("def gradient")).partition("\n\n\n")[0]
RING = next(c.source for c in CELLS if c.source.startswith("def ring_all_reduce"))
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
    (0, {"size * grad": "grad"}),
    (0, {"/ sum(sizes)": "/ len(sizes)"}),
    # One rank gets all that is left; and each rank one too many.
    (1, {"number * rank // size": "number // size * rank if rank < size else number"}),
    (1, {"number * rank // size": "-(-number // size) * rank"}),
    (2, {"8 * parameters": "4 * parameters"}),
    (2, {"1 + int": "int"}),
]


@pytest.mark.parametrize(("number", "changes"), MISTAKES)
def test_a_likely_mistake_fails(number, changes):
    mistaken = SOLUTIONS[number]
    for right, wrong in changes.items():
        assert right in mistaken
        mistaken = mistaken.replace(right, wrong)
    with pytest.raises(AssertionError):
        run(mistaken, check(number))


def test_solution_3_is_the_largest_number_that_keeps_the_condition():
    """Against the two times written out, as the text gives them."""
    most = run(SOLUTIONS[2])["most_machines"]
    for parameters, seconds, bandwidth in ((11e6, 1.2, 125e6), (7e5, 0.15, 125e6), (1e6, 9.0, 1e9)):

        def waits_too_long(n, p=parameters, s=seconds, w=bandwidth):
            return 2 * (n - 1) / n * 4 * p / w > s / n

        found = most(parameters, seconds, bandwidth)  # type: ignore[operator]
        assert not waits_too_long(found)
        assert waits_too_long(found + 1)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_ring_of_the_chapter_sums_and_sends_what_its_text_says(n):
    import numpy as np

    ring = run(RING)["ring_all_reduce"]
    pieces = np.random.default_rng(1).normal(size=(n, n, 4))
    total = pieces.sum(axis=0)
    sent = ring(pieces)  # type: ignore[operator]
    np.testing.assert_allclose(pieces, np.broadcast_to(total, pieces.shape))
    assert sent == pytest.approx(2 * (n - 1) / n * total.nbytes)
