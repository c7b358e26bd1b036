"""Proves that the exercises of chapter 4 have solutions, and that their checks find mistakes."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "04_schedules.ipynb"
CELLS = nbformat.read(NOTEBOOK, as_version=4).cells
EXERCISES = [c.source for c in CELLS if "exercise" in c.metadata.get("tags", [])]
# A solution is a folded block of code; it defines what the exercise asks for.
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
SOLUTIONS = [code for c in CELLS if c.cell_type == "markdown" for code in FOLDED.findall(c.source)]
# What the cells before the exercises leave behind: imports, the walk in the bowl, the plateau.
BEFORE = "\n".join(
    [
        "import math\nimport numpy as np\n"
        "from cifar_lessons.config import ScheduleConfig\n"
        "from cifar_lessons.training.schedule import lr_factor\n",
        *(c.source for c in CELLS if c.source.startswith(("curvature =", "def plateau"))),
    ]
)
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
    (0, {"(t + 1) / (warmup + 1)": "t / warmup"}),
    (0, {"(t - warmup) / (total - warmup)": "(t - warmup) / total"}),
    (0, {"(t - warmup) / (total - warmup)": "t / (total - warmup)"}),
    (1, {"epochs - 2": "epochs - 1"}),
    (1, {"// (patience + 1)": "// max(1, patience)"}),
    (2, {"np.linspace(0.5, 0.0, steps)": "np.full(steps, 0.1)"}),
    (2, {"np.linspace(0.5, 0.0, steps)": "np.linspace(0.0, 0.5, steps)"}),
    (2, {"np.linspace(0.5, 0.0, steps)": "0.5 * np.geomspace(1, 1e-3, steps)"}),  # too early
    (2, {"np.linspace(0.5, 0.0, steps)": "np.linspace(2.5, 0.0, steps)"}),  # explodes at first
]


@pytest.mark.parametrize(("number", "changes"), MISTAKES)
def test_a_likely_mistake_fails(number, changes):
    mistaken = SOLUTIONS[number]
    for right, wrong in changes.items():
        assert right in mistaken
        mistaken = mistaken.replace(right, wrong)
    with pytest.raises(AssertionError):
        run(mistaken, check(number))


@pytest.mark.parametrize(
    "rates",
    [
        "0.25 * (1 + np.cos(np.pi * np.arange(steps) / steps))",
        "0.5 * np.minimum(1, 2 - 2 * np.arange(steps) / steps)",
    ],
)
def test_the_others_that_solution_3_names_pass_too(rates):
    run(SOLUTIONS[2].replace("np.linspace(0.5, 0.0, steps)", rates), check(2))


def test_the_numbers_that_solution_2_names():
    most_cuts = run(SOLUTIONS[1])["most_cuts"]
    assert callable(most_cuts)
    assert most_cuts(12, 3) == 2
    assert (most_cuts(29, 3), most_cuts(30, 3)) == (6, 7)
    assert 0.5**7 < 0.01 < 0.5**6
