"""Proves that the exercises of chapter 6 have solutions, and that their checks find mistakes."""

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "06_tuning.ipynb"
CELLS = nbformat.read(NOTEBOOK, as_version=4).cells
EXERCISES = [c.source for c in CELLS if "exercise" in c.metadata.get("tags", [])]
# A solution is a folded block of code; it defines what the exercise asks for.
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
SOLUTIONS = [code for c in CELLS if c.cell_type == "markdown" for code in FOLDED.findall(c.source)]


def cell(begins: str) -> str:
    return next(c.source for c in CELLS if c.source.startswith(begins))


# What the cells before the exercises leave behind: numbers, curves, halving, and its bill.
BEFORE = "\n".join(
    [
        "import numpy as np\nrng = np.random.default_rng(0)",
        cell("def draw_curves"),
        cell("curves, paid = "),
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
def test_the_first_attempt_fails_and_the_solution_passes_after_it(number):
    names = run()
    with pytest.raises(AssertionError):
        exec(compile(EXERCISES[number], "notebook", "exec"), names)
    exec(compile(SOLUTIONS[number] + check(number), "notebook", "exec"), names)


MISTAKES = [
    (0, {"100 ** rng.random(n)": "rng.uniform(1, 100, n)"}),
    (0, {"1 - 1 / length": "1 / length"}),
    (0, {"100 **": "1000 **"}),
    (1, {"-scores[k]": "scores[k]"}),
    (1, {"(1, 2, 4, 8, 16)": "(2, 4, 8, 16, 16)"}),
    (1, {"(1, 2, 4, 8, 16)": "(1, 2, 4, 8)"}),
    (1, {"[: max(1, len(alive) // 2)]": ""}),
    (2, {"np.sort(values)": "values"}),
    (2, {"((i - 1) / n) ** k": "0"}),
    (2, {"(i / n) ** k -": "(i / n) -"}),
]


@pytest.mark.parametrize(("number", "changes"), MISTAKES)
def test_a_likely_mistake_fails(number, changes):
    mistaken = SOLUTIONS[number]
    for right, wrong in changes.items():
        assert right in mistaken
        mistaken = mistaken.replace(right, wrong)
    with pytest.raises(AssertionError):
        run(mistaken, check(number))


def test_halving_costs_what_solution_2_says():
    names = run(SOLUTIONS[1], check(1))
    assert names["paid"].sum() == 48  # type: ignore[attr-defined]


def test_the_best_of_k_rises_from_the_mean_to_the_best():
    expected_best = run(SOLUTIONS[2])["expected_best"]
    values = np.random.default_rng(3).random(30)
    found = [expected_best(values, k) for k in (1, 2, 8, 1_000)]  # type: ignore[operator]
    assert found == sorted(found)
    assert found[0] == pytest.approx(values.mean())
    assert found[-1] == pytest.approx(values.max())
