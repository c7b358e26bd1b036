"""Proves that the exercises of chapter 2 have solutions, and that their checks find mistakes."""

import torch
from exercises import Exercises
from torch import nn

from cifar_lessons import models

MAX_HEAD = """
def average_head(channels, num_classes=10):
    return nn.Sequential(
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes)
    )
"""


class TestExercises(Exercises):
    notebook = "02_first_cnn.ipynb"
    before = """
import torch
from torch import nn

from cifar_lessons import models

model = models.build_model("simple_cnn")
"""
    mistakes = [
        (2, MAX_HEAD),
        (0, {"amax": "mean"}),
        (0, {"unfold(2, 2, 2).unfold(3, 2, 2)": "unfold(2, 2, 1).unfold(3, 2, 1)"}),
        (0, {"dim=(4, 5)": "dim=(2, 3)"}),
        (1, {"{1, 2, 3, 4}": "{1, 2, 3}"}),
        (1, {"{1, 2, 3, 4}": "{0, 1, 2, 3}"}),
        (
            2,
            {
                "AdaptiveAvgPool2d(1)": "AdaptiveMaxPool2d(2)",
                "Linear(channels": "Linear(channels * 4",
            },
        ),
        (
            2,
            {
                "AdaptiveAvgPool2d(1)": "AdaptiveMaxPool2d(1)",
                ", num_classes)": ", num_classes, bias=False)",
            },
        ),
    ]


def size(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_three_pools_are_not_enough_as_solution_2_says():
    simple = size(models.build_model("simple_cnn"))
    sizes = {
        p: size(models.build_model("deep_cnn", widths=[32, 64, 128, 256], pools=p)) for p in (3, 4)
    }
    assert sizes[4] < simple < sizes[3]


def test_the_average_head_leaves_the_parameters_that_solution_3_names():
    head = TestExercises.run(TestExercises.solutions[2])["average_head"](64)
    convs = size(models.build_model("simple_cnn").convs)
    assert (convs, size(head)) == (19_392, 650)
    assert 100 < size(models.build_model("simple_cnn")) / (convs + size(head)) < 110
    assert head(torch.zeros(2, 64, 5, 9)).shape == (2, 10)  # any size of image
