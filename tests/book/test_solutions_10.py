"""Proves that the exercises of chapter 10 have solutions, and that their checks find mistakes."""

import numpy as np
from exercises import Exercises


class TestExercises(Exercises):
    notebook = "10_tta.ipynb"
    before = "import numpy as np\nimport torch\n"  # what the first cells leave behind
    mistakes = [
        # The latest of the leaders; the first view's class, whoever leads; votes of the others.
        (0, {"support.argmax(axis=0)": "len(support) - 1 - support[::-1].argmax(axis=0)"}),
        (0, {"support.argmax(axis=0)": "0 * support.argmax(axis=0)"}),
        (0, {"counts = np.stack": "answers = answers[1:]\n    counts = np.stack"}),
        (1, {'mode="reflect"': 'mode="replicate"'}),
        (1, {"(down, right), dims": "(right, down), dims"}),
        (1, {"(down, right), dims": "(-down, -right), dims"}),
        # Turns alone; half of the turns; a half turn in place of the mirror image.
        (2, {"(image, image.flip(2))": "(image,)"}),
        (2, {"range(4)": "range(2)"}),
        (2, {"image.flip(2)": "image.flip(1, 2)"}),
    ]


def test_solution_1_agrees_with_a_slow_count():
    vote = TestExercises.run(TestExercises.solutions[0])["vote"]
    answers = np.random.default_rng(0).integers(0, 10, (5, 300))
    slow = []
    for column in answers.T.tolist():
        most = max(column.count(k) for k in column)
        slow.append(next(k for k in column if column.count(k) == most))
    assert vote(answers).tolist() == slow
