"""Proves that the exercises of chapter 4 have solutions, and that their checks find mistakes."""

import pytest
from exercises import Exercises, cell

NOTEBOOK = "04_schedules.ipynb"
# What the cells before the exercises leave behind: imports, the walk in the bowl, the plateau.
BEFORE = "\n".join(
    [
        "import math\nimport numpy as np\n"
        "from cifar_lessons.config import ScheduleConfig\n"
        "from cifar_lessons.training.schedule import lr_factor\n",
        cell(NOTEBOOK, "curvature ="),
        cell(NOTEBOOK, "def plateau"),
    ]
)


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        (0, {"(t + 1) / (warmup + 1)": "t / warmup"}),
        (0, {"(t - warmup) / (total - warmup)": "(t - warmup) / total"}),
        (0, {"(t - warmup) / (total - warmup)": "t / (total - warmup)"}),
        (1, {"epochs - 2": "epochs - 1"}),
        (1, {"// (patience + 1)": "// max(1, patience)"}),
        (2, {"np.linspace(0.5, 0.0, steps)": "np.full(steps, 0.1)"}),
        (2, {"np.linspace(0.5, 0.0, steps)": "np.linspace(0.0, 0.5, steps)"}),
        (2, {"np.linspace(0.5, 0.0, steps)": "np.linspace(1.0, 0.0, steps)"}),  # the chapter's own
        (2, {"np.linspace(0.5, 0.0, steps)": "0.5 * np.geomspace(1, 1e-3, steps)"}),  # too early
        (2, {"np.linspace(0.5, 0.0, steps)": "np.linspace(2.5, 0.0, steps)"}),  # explodes at first
    ]


@pytest.mark.parametrize(
    "rates",
    [
        "0.25 * (1 + np.cos(np.pi * np.arange(steps) / steps))",
        "0.4 * np.minimum(1, 2 - 2 * np.arange(steps) / steps)",
    ],
)
def test_the_others_that_solution_3_names_pass_too(rates):
    TestExercises.run(
        TestExercises.solutions[2].replace("np.linspace(0.5, 0.0, steps)", rates),
        TestExercises.check(2),
    )


def test_the_numbers_that_solution_2_names():
    most_cuts = TestExercises.run(TestExercises.solutions[1])["most_cuts"]
    assert callable(most_cuts)
    assert most_cuts(12, 3) == 2
    assert (most_cuts(29, 3), most_cuts(30, 3)) == (6, 7)
    assert 0.5**7 < 0.01 < 0.5**6
