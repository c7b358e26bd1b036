"""Proves that the exercises of `08b_inside` have solutions, and that their checks find mistakes."""

import pytest
import torch
from exercises import Exercises, cell

from cifar_lessons.evaluation import explain

NOTEBOOK = "08b_inside.ipynb"
# What the cells before the exercises leave behind: imports, a network, and a batch.
BEFORE = """
import numpy as np
import torch
import torch.nn.functional as F

from cifar_lessons.config import DataConfig
from cifar_lessons.evaluation import explain, outsiders
from cifar_lessons.models import build_model

model = build_model("resnet18", width=4).eval()
images, said = torch.randn(6, 3, 32, 32), torch.tensor([3, 0, 9, 9, 5, 1])
""" + cell(NOTEBOOK, "def maps_and_logits").split("\n\n\n")[0]
WEIGHTED = "(weights * maps).sum(1, keepdim=True)"


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        (0, {" / positions": ""}),
        (0, {"[target]": "[target * 0]"}),
        (0, {f"F.relu({WEIGHTED})": WEIGHTED}),
        (1, {"-mean / std": "mean / std"}),
        (1, {"-mean / std": "-mean"}),
        (1, {"hidden[..., top : top + side, left": "hidden[..., top : top + side + 1, left"}),
        (2, {"(size - 1) / 2": "(size - 1)"}),
        (2, {"last - (size - 1) / 2": "last"}),
        (2, {"(len(inside) + 1) / 2": "(len(inside) - 1) / 2"}),
    ]


@pytest.mark.parametrize("mine", ["my_grad_cam", "my_occlusion"])
def test_the_maps_from_scratch_are_the_librarys_for_any_network(mine):
    """Also where the book is built without a recorded network."""
    source = next(c.source for c in TestExercises.cells if f"def {mine}" in c.source)
    names = TestExercises.run(source.split("\n\n\n")[0])
    from_scratch, model, images, said = (names[k] for k in (mine, "model", "images", "said"))
    library = explain.grad_cam if "cam" in mine else explain.occlusion
    torch.testing.assert_close(
        from_scratch(model, images, said),
        library(model, images, said),  # type: ignore[arg-type]
        atol=1e-5,
        rtol=1e-3,
    )
