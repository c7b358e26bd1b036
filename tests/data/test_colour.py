"""Mirrors cifar_lessons/data/colour.py: each image as torchvision changes one by itself."""

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from cifar_lessons.data import colour


@pytest.fixture
def images() -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    made = torch.rand(24, 3, 9, 11, generator=rng)
    made[0] = 0.0
    made[1] = 1.0
    made[2] = 0.5  # no hue at all
    made[3, 1:] = 0.0  # red alone
    made[4] = (made[4] * 4).round() / 4  # many ties among the channels
    return made


FACTORS = {
    "adjust_brightness": (0.0, 1.8),
    "adjust_contrast": (0.0, 1.8),
    "adjust_saturation": (0.0, 1.8),
    "adjust_hue": (-0.5, 0.5),
}


@pytest.mark.parametrize("name", FACTORS)
def test_every_image_is_changed_as_torchvision_changes_it_alone(images, name):
    low, high = FACTORS[name]
    amounts = torch.linspace(low, high, len(images))[torch.randperm(len(images))]
    found = getattr(colour, name)(images, amounts)
    for image, amount, ours in zip(images, amounts.tolist(), found, strict=True):
        theirs = getattr(reference, name)(image, amount)
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


def test_grey_is_torchvisions(images):
    for image, ours in zip(images, colour.to_grey(images), strict=True):
        torch.testing.assert_close(ours, reference.rgb_to_grayscale(image), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", FACTORS)
def test_the_neutral_amount_changes_nothing(images, name):
    neutral = torch.full((len(images),), 0.0 if name == "adjust_hue" else 1.0)
    torch.testing.assert_close(getattr(colour, name)(images, neutral), images, atol=1e-6, rtol=0)


def test_nothing_is_written_into_the_input(images):
    before = images.clone()
    for name in FACTORS:
        getattr(colour, name)(images, torch.full((len(images),), 0.3))
    assert torch.equal(images, before)
