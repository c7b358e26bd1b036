"""Mirrors cifar_lessons/evaluation/label_errors.py: by hand, slowly, and on planted errors."""

import math

import numpy as np
import pytest

from cifar_lessons.evaluation import label_errors as found_in
from cifar_lessons.evaluation.calibration import softmax
from cifar_lessons.evaluation.label_errors import (
    catch,
    confident_class,
    confident_joint,
    estimated_wrong,
    find_label_errors,
    thresholds,
)

# Four images of two classes. Thresholds: (0.9 + 0.3) / 2 = 0.6 and (0.8 + 0.4) / 2 = 0.6.
PROBABILITIES = np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.6, 0.4]])
GIVEN = np.array([0, 0, 1, 1])


def planted(share: float = 0.1, *, n: int = 3_000, classes: int = 5, seed: int = 0):
    """Probabilities of a network that is often right, true labels, and labels with errors."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), true] += 3.0
    given = true.copy()
    wrong = rng.random(n) < share
    given[wrong] = (true[wrong] + rng.integers(1, classes, wrong.sum())) % classes
    return softmax(logits), true, given


def test_a_small_case_by_hand():
    assert thresholds(PROBABILITIES, GIVEN) == pytest.approx([0.6, 0.6])
    # The last one reaches its threshold exactly.
    probabilities = PROBABILITIES.copy()
    probabilities[3] = [0.65, 0.35]  # thresholds 0.6 and 0.575
    assert confident_class(probabilities, GIVEN).tolist() == [0, 1, 1, 0]
    assert confident_joint(probabilities, GIVEN).tolist() == [[1, 1], [1, 1]]
    assert estimated_wrong(probabilities, GIVEN) == 0.5
    found = find_label_errors(probabilities, GIVEN)
    assert found.index.tolist() == [1, 3]  # by margin: 0.3 - 0.7 before 0.35 - 0.65
    assert found.suggested.tolist() == [1, 0]
    assert found.margin == pytest.approx([-0.4, -0.3])
    assert len(found) == 2


def test_it_agrees_with_the_definition_written_slowly():
    probabilities, _, given = planted(n=400)
    limit = [np.mean([p[k] for p, g in zip(probabilities, given, strict=True) if g == k])
             for k in range(5)]  # fmt: skip
    joint = np.zeros((5, 5), int)
    suspects = []
    for row, (p, g) in enumerate(zip(probabilities, given, strict=True)):
        reached = [k for k in range(5) if p[k] >= limit[k]]
        if reached:
            best = max(reached, key=lambda k: p[k])
            joint[g, best] += 1
            if best != g:
                suspects.append((p[g] - p[best], row))
    assert confident_joint(probabilities, given).tolist() == joint.tolist()
    assert find_label_errors(probabilities, given).index.tolist() == [
        r for _, r in sorted(suspects)
    ]


def test_an_image_that_is_confidently_nowhere_is_no_suspect():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.0, 0.1, 0.9], [0.4, 0.3, 0.3]])
    given = np.array([0, 1, 2, 2])
    assert thresholds(probabilities, given)[2] == pytest.approx(0.6)
    assert confident_class(probabilities, given)[3] == -1
    assert confident_joint(probabilities, given).sum() == 3
    assert len(find_label_errors(probabilities, given)) == 0


def test_planted_errors_are_found():
    probabilities, true, given = planted()
    wrong = given != true
    suspects = find_label_errors(probabilities, given)
    all_of_them = catch(suspects.index, wrong)
    assert all_of_them.recall > 0.65
    assert all_of_them.precision > 0.95
    assert catch(suspects.index[: wrong.sum() // 3], wrong).precision == 1  # the top is best
    right = suspects.suggested == true[suspects.index]
    assert right[wrong[suspects.index]].mean() > 0.9  # and the suggestion is the truth
    assert estimated_wrong(probabilities, given) == pytest.approx(wrong.mean(), abs=0.04)


def test_margins_rise_and_no_suspect_keeps_its_label():
    probabilities, _, given = planted()
    found = find_label_errors(probabilities, given)
    assert (np.diff(found.margin) >= 0).all()
    assert (found.suggested != given[found.index]).all()
    assert len(set(found.index.tolist())) == len(found)


def test_probabilities_learned_by_heart_find_nothing():
    _, true, given = planted()
    by_heart = 0.98 * np.eye(5)[given] + 0.004
    assert len(find_label_errors(by_heart, given)) == 0
    assert (given != true).any()


def test_what_is_caught_is_counted():
    wrong = np.array([True, False, True, False, False])
    found = catch(np.array([0, 1]), wrong)
    assert (found.suspects, found.hits, found.wrong) == (2, 1, 2)
    assert (found.precision, found.recall) == (0.5, 0.5)
    assert math.isnan(catch(np.array([], int), wrong).precision)
    assert math.isnan(catch(np.array([1]), np.zeros(5, bool)).recall)


@pytest.mark.parametrize(
    ("probabilities", "given", "said"),
    [
        (PROBABILITIES, GIVEN[:3], r"got \(4, 2\) and \(3,\)"),
        (PROBABILITIES, np.zeros(4, int), r"got \[4, 0\] of them by class"),
        (PROBABILITIES, np.array([0, 1, 2, 2]), r"each of the 2 classes needs an image"),
    ],
)
def test_mistakes_name_the_value(probabilities, given, said):
    with pytest.raises(ValueError, match=said):
        find_label_errors(probabilities, given)


def test_it_is_numpy_alone():
    assert not hasattr(found_in, "torch")
