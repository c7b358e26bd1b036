"""Proves that the exercises of chapter 10 have solutions, and that their checks find mistakes."""

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "10_tta.ipynb"
CELLS = nbformat.read(NOTEBOOK, as_version=4).cells
EXERCISES = [c.source for c in CELLS if "exercise" in c.metadata.get("tags", [])]
# A solution is a folded block of code; it defines what the exercise asks for.
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
SOLUTIONS = [code for c in CELLS if c.cell_type == "markdown" for code in FOLDED.findall(c.source)]
BEFORE = "import numpy as np\nimport torch\n"  # what the first cells leave behind
each = pytest.mark.parametrize("number", [0, 1, 2], ids=["1", "2", "3"])


def run(*code: str) -> dict[str, object]:
    """Execute code as the notebook would, and return all names."""
    names: dict[str, object] = {}
    for part in (BEFORE, *code):
        exec(compile(part, "notebook", "exec"), names)
    return names


def check(number: int) -> str:
    """Return an exercise's cell without the function that the reader mends."""
    rest = [n for n in ast.parse(EXERCISES[number]).body if not isinstance(n, ast.FunctionDef)]
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
    # The latest of the leaders; the class of the first view, whoever leads; votes of the others.
    (0, {"support.argmax(axis=0)": "len(support) - 1 - support[::-1].argmax(axis=0)"}),
    (0, {"support.argmax(axis=0)": "0 * support.argmax(axis=0)"}),
    (0, {"counts = np.stack": "answers = answers[1:]\n    counts = np.stack"}),
    (1, {'mode="reflect"': 'mode="replicate"'}),
    (1, {"(down, right), dims": "(right, down), dims"}),
    (1, {"(down, right), dims": "(-down, -right), dims"}),
    (2, {"(square - mean**2)": "(square + mean**2)"}),
    (2, {"(corrected + broken) / n": "(corrected - broken) / n"}),
    (2, {"(square - mean**2) / n": "(square - mean**2) / (corrected + broken)"}),
]


@pytest.mark.parametrize(("number", "changes"), MISTAKES)
def test_a_likely_mistake_fails(number, changes):
    mistaken = SOLUTIONS[number]
    for right, wrong in changes.items():
        assert right in mistaken
        mistaken = mistaken.replace(right, wrong)
    with pytest.raises(AssertionError):
        run(mistaken, check(number))


def test_solution_1_agrees_with_a_slow_count():
    vote = run(SOLUTIONS[0])["vote"]
    answers = np.random.default_rng(0).integers(0, 10, (5, 300))
    slow = []
    for column in answers.T.tolist():
        most = max(column.count(k) for k in column)
        slow.append(next(k for k in column if column.count(k) == most))
    assert vote(answers).tolist() == slow  # type: ignore[operator]
