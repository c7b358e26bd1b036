"""Proves that the exercises of chapter 7 have solutions, and that their checks find mistakes."""

import pytest
from exercises import Exercises, cell

NOTEBOOK = "07_many_machines.ipynb"
# What the cells before the exercises leave behind: imports, `gradient`, a model, and a batch.
BEFORE = """
import torch
import torch.nn.functional as F
from torch import nn

images, labels = torch.randn(16, 3, 32, 32), torch.arange(16) % 10
model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))
""" + cell(NOTEBOOK, "def gradient").partition("\n\n\n")[0]
RING = cell(NOTEBOOK, "def ring_all_reduce")


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        (0, {"size * grad": "grad"}),
        (0, {"/ sum(sizes)": "/ len(sizes)"}),
        # One rank gets all that is left; and each rank one too many.
        (1, {"number * rank // size": "number // size * rank if rank < size else number"}),
        (1, {"number * rank // size": "-(-number // size) * rank"}),
        (2, {"8 * parameters": "4 * parameters"}),
        (2, {"1 + int": "int"}),
    ]


def test_solution_3_is_the_largest_number_that_keeps_the_condition():
    """Against the two times written out, as the text gives them."""
    most = TestExercises.run(TestExercises.solutions[2])["most_machines"]
    for parameters, seconds, bandwidth in ((11e6, 1.2, 125e6), (7e5, 0.15, 125e6), (1e6, 9.0, 1e9)):

        def waits_too_long(n, p=parameters, s=seconds, w=bandwidth):
            return 2 * (n - 1) / n * 4 * p / w > s / n

        found = most(parameters, seconds, bandwidth)
        assert not waits_too_long(found)
        assert waits_too_long(found + 1)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_ring_of_the_chapter_sums_and_sends_what_its_text_says(n):
    import numpy as np

    ring = TestExercises.run(RING)["ring_all_reduce"]
    pieces = np.random.default_rng(1).normal(size=(n, n, 4))
    total = pieces.sum(axis=0)
    sent = ring(pieces)
    np.testing.assert_allclose(pieces, np.broadcast_to(total, pieces.shape))
    assert sent == pytest.approx(2 * (n - 1) / n * total.nbytes)
