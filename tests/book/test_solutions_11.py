"""Proves that the exercises of chapter 11 have solutions, and that their checks find mistakes."""

import pytest
import torch
from exercises import Exercises, cell

from cifar_lessons.config import Distillation
from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.distillation import DistillationObjective, distillation_loss

NOTEBOOK = "11_distillation.ipynb"
# What the cells before the exercises leave behind.
BEFORE = """
import torch
import torch.nn.functional as F

from cifar_lessons.objectives.distillation import distillation_loss
"""


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        # Each of the five, left in.
        (0, {"F.log_softmax(student / T, dim=1)": "F.softmax(student / T, dim=1)"}),
        (0, {"teacher.detach() / T": "teacher.detach()"}),
        (0, {'reduction="batchmean")': 'reduction="none").mean()'}),
        (0, {"T**2": "T"}),
        (0, {"teacher.detach()": "teacher"}),
        (1, {"return factor, teacher / factor": "return factor, teacher"}),
        (1, {"w / classes": "w"}),
        (1, {"return factor,": "return 1.0,"}),
        (2, {" - x.mean(dim=1, keepdim=True)": ""}),
        (2, {".sum(dim=1).mean()": ".mean()"}),
        (2, {"(2 * student.shape[1])": "student.shape[1]"}),
    ]


def test_the_numbers_that_solution_2_names():
    factor, weight = TestExercises.run(TestExercises.solutions[1])["what_it_is"](0.7, 10)
    assert (round(factor, 2), round(weight, 2)) == (0.37, 0.19)


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return *torch.randn(2, 64, 10), torch.randint(10, (64,))


def test_the_losses_that_the_chapter_writes_are_the_librarys(logits):
    student, teacher, labels = logits
    names = TestExercises.run("from torch import nn", cell(NOTEBOOK, "def distil("))
    ours = names["distil"](student, teacher, labels, 4.0, 0.9)
    theirs = distillation_loss(student, teacher, labels, temperature=4.0, teacher_weight=0.9)
    torch.testing.assert_close(ours, theirs)


def test_the_printed_loss_is_the_arm_that_is_trained(logits):
    student, teacher, labels = logits
    source = cell(NOTEBOOK, "def printed(").split("with warnings")[0]
    names = TestExercises.run("from torch import nn", source)
    with pytest.warns(UserWarning, match="'mean' divides the total loss"):
        printed = names["printed"](student, labels, teacher)
    config = Distillation(temperature=3.0, teacher_weight=0.7, mean_over="elements")
    batch = Batch(student, labels, torch.arange(64), teacher)
    trained = DistillationObjective(config)(torch.nn.Identity(), batch).loss
    torch.testing.assert_close(printed, trained)
