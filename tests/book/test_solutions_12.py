"""Proves that the exercises of chapter 12 have solutions, and that their checks find mistakes."""

import numpy as np
import pytest
import torch
from exercises import Exercises, cell

from cifar_lessons.config import DataConfig
from cifar_lessons.deploy.pixels import PixelClassifier

NOTEBOOK = "12_deployment.ipynb"
# What the cells before the exercises leave behind.
BEFORE = """
import numpy as np
import torch
from torch import nn
"""


class TestExercises(Exercises):
    notebook = NOTEBOOK
    before = BEFORE
    mistakes = [
        (0, {" + norm.eps": ""}),
        (0, {" - factor * norm.running_mean": ""}),
        (0, {" - factor *": " +  factor *"}),
        (0, {"norm.weight / ": "1 / "}),
        (1, {"round(-low / scale)": "-low / scale + 0.3"}),
        (1, {"min(low, 0.0), max(high, 0.0)": "low, high"}),
        (1, {"np.clip(np.round(values / scale) + zero_point, 0, 255)": (
            "(np.round(values / scale) + zero_point).astype(np.int64)")}),
        (2, {"    for _ in range(warm_up):\n        run()\n": ""}),
        (2, {"np.percentile(times, 50)": "np.mean(times)"}),
        (2, {"np.percentile(times, 99)": "np.percentile(times, 95)"}),
    ]  # fmt: skip


def test_the_network_that_the_chapter_writes_is_the_librarys():
    names = TestExercises.run(cell(NOTEBOOK, "class FromPixels"))
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 10))
    data = DataConfig(mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
    pixels = torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)
    ours = names["FromPixels"](network, data.mean, data.std)(pixels)
    for a, b in zip(ours, PixelClassifier(network, data)(pixels), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.fixture
def rulers():
    return TestExercises.run(cell(NOTEBOOK, "def to_int8"))


def test_eight_bits_are_within_half_a_step(rulers):
    weights = (
        np.random.default_rng(0).normal(size=(8, 3, 3, 3)) * np.arange(1, 9)[:, None, None, None]
    )
    for each in (False, True):
        whole, scale = rulers["to_int8"](weights, each)
        assert whole.dtype == np.int8
        assert np.all(np.abs(whole * scale - weights) <= scale / 2 + 1e-9)
    values = np.linspace(-1, 3, 101)
    whole, scale, zero = rulers["to_uint8"](values, -1.0, 3.0)
    assert rulers["to_uint8"](np.zeros(1), -1.0, 3.0)[0] == zero
    assert np.abs(scale * (whole.astype(float) - zero) - values).max() <= scale


def test_a_scale_for_each_channel_is_the_finer_ruler(rulers):
    weights = np.random.default_rng(0).normal(size=(8, 27)) * np.geomspace(0.01, 1, 8)[:, None]

    def error(each):
        whole, scale = rulers["to_int8"](weights, each)
        return np.abs(whole * scale - weights)[0].max()

    assert error(True) < error(False) / 10
