"""Proves that the exercises of chapter 9 have solutions, and that their checks find mistakes."""

import ast
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

from cifar_lessons.evaluation.label_errors import confident_joint, estimated_wrong, softmax

NOTEBOOK = Path(__file__).resolve().parents[2] / "book" / "09_folds.ipynb"
CELLS = nbformat.read(NOTEBOOK, as_version=4).cells
EXERCISES = [c.source for c in CELLS if "exercise" in c.metadata.get("tags", [])]
# A solution is a folded block of code; it defines what the exercise asks for.
FOLDED = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.DOTALL)
SOLUTIONS = [code for c in CELLS if c.cell_type == "markdown" for code in FOLDED.findall(c.source)]
# What the cells before the exercises leave behind.
BEFORE = "import numpy as np\nfrom cifar_lessons.evaluation import cross_validation\n"
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
    # All groups in one fold: none is torn, and it is no cross-validation.
    (0, {"home[names[k]] = filled.argmin()": "home[names[k]] = 0"}),
    # Groups by turns, whatever their size.
    (0, {"home[names[k]] = filled.argmin()": "home[names[k]] = k % folds"}),
    (0, {"home[g] for g in groups": "home[g] for g in groups[:100]"}),
    (1, {"np.subtract(second, first)": "np.subtract(first, second)"}),
    (1, {"n_test=n_test)": "n_test=n_test, corrected=False)"}),
    (1, {"n_train=n_train": "n_train=n_train // 10"}),
    (2, {" * np.reshape(images, (-1, 1))": ""}),
    (2, {"axis=1": "axis=0"}),
    (2, {"(-1, 1)": "(1, -1)"}),
]


@pytest.mark.parametrize(("number", "changes"), MISTAKES)
def test_a_likely_mistake_fails(number, changes):
    mistaken = SOLUTIONS[number]
    for right, wrong in changes.items():
        assert right in mistaken
        mistaken = mistaken.replace(right, wrong)
    with pytest.raises(AssertionError):
        run(mistaken, check(number))


def test_solution_1_gives_what_scikit_learn_gives():
    from sklearn.model_selection import GroupKFold

    names = run(SOLUTIONS[0], check(0))
    groups = names["groups"]
    theirs = [len(out) for _, out in GroupKFold(4).split(groups, groups=groups)]  # type: ignore[arg-type]
    assert sorted(map(len, names["parts"])) == sorted(theirs)  # type: ignore[call-overload]


def test_solution_3_is_what_the_library_does():
    rng = np.random.default_rng(0)
    given = rng.integers(0, 4, 500)
    logits = rng.normal(size=(500, 4))
    logits[np.arange(500), given] += 2
    probabilities = softmax(logits)
    share_wrong = run(SOLUTIONS[2])["share_wrong"]
    found = share_wrong(confident_joint(probabilities, given), np.bincount(given))  # type: ignore[operator]
    assert found == pytest.approx(estimated_wrong(probabilities, given))
