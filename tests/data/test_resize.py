"""Mirrors cifar_lessons/data/resize.py."""

import pytest
import torch

from cifar_lessons.data.resize import shrink, side_at

SIZES = ((0.35, 20), (0.3, 26))


@pytest.mark.parametrize(
    ("share", "side"),
    [(0.0, 20), (0.349, 20), (0.35, 26), (0.6499, 26), (0.65, 32), (0.999, 32)],
)
def test_each_stage_begins_where_the_last_one_ends(share, side):
    assert side_at(SIZES, share) == side


def test_without_stages_images_keep_their_size():
    assert side_at((), 0.0) == 32
    images = torch.randn(2, 3, 32, 32)
    assert shrink(images, 32) is images


def test_no_step_is_lost_to_rounding():
    """0.1 ten times is not 1 in floating point, and step 7 of 10 is not at 0.7."""
    sizes = tuple((0.1, 10 + i) for i in range(10))
    assert [side_at(sizes, step / 10) for step in range(10)] == list(range(10, 20))


def test_a_smaller_image_is_the_mean_of_what_it_covers():
    image = torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 3, 4, 4)
    small = shrink(image, 2)
    assert small.shape == (1, 3, 2, 2)
    assert small.mean().item() == pytest.approx(image.mean().item())
    constant = shrink(torch.full((1, 3, 32, 32), 0.7), 20)
    torch.testing.assert_close(constant, torch.full((1, 3, 20, 20), 0.7))


def test_a_fine_pattern_turns_grey_and_into_no_coarse_one():
    """Taking every second pixel of a chequerboard would give a white or a black image."""
    board = ((torch.arange(32)[:, None] + torch.arange(32)) % 2).float().expand(1, 3, 32, 32)
    small = shrink(board, 16)[:, :, 1:-1, 1:-1]
    assert (small - 0.5).abs().max() < 0.1


def test_the_layout_stays_channels_last():
    images = torch.randn(4, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    assert shrink(images, 20).is_contiguous(memory_format=torch.channels_last)
