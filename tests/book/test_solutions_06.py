"""Proves that the exercises of chapter 6 have solutions, and that their checks find mistakes."""

import numpy as np
import pytest
from exercises import Exercises, cell

NOTEBOOK = "06_tuning.ipynb"
# What the cells before the exercises leave behind: numbers, curves, halving, and its bill.
BEFORE = "\n".join(
    [
        "import numpy as np\nrng = np.random.default_rng(0)",
        cell(NOTEBOOK, "def draw_curves"),
        cell(NOTEBOOK, "curves, paid = "),
    ]
)


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
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


def test_halving_costs_what_solution_2_says():
    names = TestExercises.run(TestExercises.solutions[1], TestExercises.check(1))
    assert names["paid"].sum() == 48


def test_the_best_of_k_rises_from_the_mean_to_the_best():
    expected_best = TestExercises.run(TestExercises.solutions[2])["expected_best"]
    values = np.random.default_rng(3).random(30)
    found = [expected_best(values, k) for k in (1, 2, 8, 1_000)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(values.mean())
    assert found[-1] == pytest.approx(values.max())
