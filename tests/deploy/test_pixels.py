"""Mirrors cifar_lessons/deploy/pixels.py."""

import numpy as np
import pytest
import torch
from torch import nn

from cifar_lessons.config import DataConfig
from cifar_lessons.data.loader import normalise
from cifar_lessons.deploy.pixels import PixelClassifier, as_pixels, require_pixels
from cifar_lessons.errors import UserError

DATA = DataConfig(mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


def test_the_network_sees_what_it_saw_in_training():
    torch.manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(10))
    expected = network(normalise(images, DATA))
    logits, probabilities = PixelClassifier(network, DATA)(torch.from_numpy(as_pixels(images)))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(probabilities, expected.softmax(1), rtol=1e-4, atol=1e-5)


def test_as_pixels_puts_the_colours_last():
    images = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).to(torch.uint8)
    assert as_pixels(images)[1, 2, 3].tolist() == images[1, :, 2, 3].tolist()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((1, 3, 32, 32), np.uint8), r"must be \(B, 32, 32, 3\).*got \(1, 3, 32, 32\)"),
        (np.zeros((32, 32, 3), np.uint8), r"got \(32, 32, 3\)"),
        (np.zeros((0, 32, 32, 3), np.uint8), r"B >= 1, got \(0, 32, 32, 3\)"),
        (np.zeros((1, 32, 32, 3), np.float32), r"must be uint8 in \[0, 255\], got float32"),
    ],
)
def test_another_shape_or_type_is_one_line(pixels, message):
    with pytest.raises(UserError, match=message):
        require_pixels(pixels)
