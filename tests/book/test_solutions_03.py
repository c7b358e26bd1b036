"""Proves that the exercises of chapter 3 have solutions, and that their checks find mistakes."""

import torch
from exercises import Exercises, cell

from cifar_lessons.building import num_parameters
from cifar_lessons.models.resnet import ResNet

NOTEBOOK = "03_resnet.ipynb"
# What the cells before the exercises leave behind: imports, the block, and a batch.
BEFORE = """
import torch
import torch.nn.functional as F
from torch import nn

from cifar_lessons.building import num_parameters
from cifar_lessons.models import build_model
from cifar_lessons.models.resnet import BasicBlock, ResNet

images, labels = torch.randn(16, 3, 32, 32), torch.arange(16) % 10
""" + cell(NOTEBOOK, "class Block")


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        # The stride on the first 1x1, as in the paper: as many parameters, other outputs.
        (0, {"inputs, width, 1,": "inputs, width, 1, stride,", "3, stride,": "3, 1,"}),
        (0, {"self.shortcut(x) + ": ""}),
        (0, {"4 * width, 1, bias=False)": "4 * width, 1)"}),
        (1, {"27 * width + 2 * width": "27 * width"}),
        (1, {"4 * 2 * w  # a batch": "4 * w  # a batch"}),
        (1, {"inputs * w + 2 * w": "inputs * w"}),
        (1, {"inputs = w\n": "inputs = inputs\n"}),
        (2, {"nn.init.zeros_(block.bn2.weight)": "pass"}),
        (2, {"nn.init.zeros_(block.bn2.weight)": "nn.init.zeros_(block.conv2.weight)"}),
    ]


def test_solution_1_gives_the_parameters_of_resnet50_that_its_text_names():
    block = TestExercises.run(TestExercises.solutions[0])["MyBottleneck"]
    with torch.device("meta"):  # shapes without numbers
        model = ResNet(block, (3, 4, 6, 3), num_classes=10, width=64, skip=True, norm=True)  # type: ignore[arg-type]
    assert num_parameters(model) == 23_520_842


def test_a_zeroed_first_scale_leaves_no_convolution_a_gradient_as_solution_3_says():
    # From the exercise's own attempt, up to the assertion that stops it.
    names = TestExercises.run(TestExercises.attempts[2].split("asleep")[0])
    block = names["net"].layer1[0]
    assert not block.conv1.weight.grad.any()
    assert not block.conv2.weight.grad.any()
    assert block.bn2.bias.grad.any()
