"""Proves that the exercises of chapter 9 have solutions, and that their checks find mistakes."""

import numpy as np
import pytest
from exercises import Exercises

from cifar_lessons.evaluation.calibration import softmax
from cifar_lessons.evaluation.label_errors import confident_joint, estimated_wrong

NOTEBOOK = "09_folds.ipynb"
# What the cells before the exercises leave behind.
BEFORE = "import numpy as np\nfrom cifar_lessons.evaluation import cross_validation\n"


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        # All groups in one fold: none is torn, and it is no cross-validation.
        (0, {"home[names[k]] = filled.argmin()": "home[names[k]] = 0"}),
        # Two folds, and two that are empty: as little, and harder to see.
        (0, {"filled.argmin()": "filled[:2].argmin()"}),
        # Groups by turns, whatever their size.
        (0, {"home[names[k]] = filled.argmin()": "home[names[k]] = k % folds"}),
        (0, {"np.argsort(-sizes)": "np.argsort(sizes)"}),  # the smallest first
        (0, {"home[g] for g in groups": "home[g] for g in groups[:100]"}),
        (1, {"np.subtract(second, first)": "np.subtract(first, second)"}),
        (1, {"n_test=n_test)": "n_test=n_test, corrected=False)"}),
        (1, {"n_train=n_train": "n_train=n_train // 10"}),
        (2, {" * np.reshape(images, (-1, 1))": ""}),
        (2, {"axis=1": "axis=0"}),
        (2, {"(-1, 1)": "(1, -1)"}),
    ]


def test_solution_1_gives_what_scikit_learn_gives():
    from sklearn.model_selection import GroupKFold

    names = TestExercises.run(TestExercises.solutions[0], TestExercises.check(0))
    groups = names["groups"]
    assert np.bincount(groups).max() < len(groups) / 4  # type: ignore[arg-type]  # no giant
    theirs = [len(out) for _, out in GroupKFold(4).split(groups, groups=groups)]  # type: ignore[arg-type]
    assert sorted(map(len, names["parts"])) == sorted(theirs)  # type: ignore[call-overload]


def test_solution_3_is_what_the_library_does():
    rng = np.random.default_rng(0)
    given = rng.integers(0, 4, 500)
    logits = rng.normal(size=(500, 4))
    logits[np.arange(500), given] += 2
    probabilities = softmax(logits)
    share_wrong = TestExercises.run(TestExercises.solutions[2])["share_wrong"]
    found = share_wrong(confident_joint(probabilities, given), np.bincount(given))
    assert found == pytest.approx(estimated_wrong(probabilities, given))
