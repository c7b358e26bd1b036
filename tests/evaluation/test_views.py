"""Mirrors cifar_lessons/evaluation/views.py."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as torchvision

from cifar_lessons.config import DataConfig
from cifar_lessons.data.loader import normalise
from cifar_lessons.evaluation.view_sets import distinct_views
from cifar_lessons.evaluation.views import (
    VIEWS,
    crop,
    flip,
    plain,
    rotate,
    shift,
    turn,
    vertical_flip,
)

each_view = pytest.mark.parametrize("name", VIEWS)


@pytest.fixture
def columns() -> Tensor:
    return torch.arange(32.0).expand(1, 3, 32, 32).clone()  # each pixel holds its column


@pytest.fixture
def noise() -> Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_flip_mirrors_left_for_right(columns):
    assert flip(columns)[0, 0, 0].tolist() == list(range(31, -1, -1))
    assert torch.equal(vertical_flip(columns), columns)
    assert torch.equal(vertical_flip(columns.transpose(2, 3)), flip(columns).transpose(2, 3))


def test_shift_moves_the_image_and_reflects_the_border(columns):
    assert shift(columns, down=0, right=1)[0, 0, 0, :4].tolist() == [1, 0, 1, 2]
    assert shift(columns, down=0, right=-2)[0, 0, 0, -4:].tolist() == [30, 31, 30, 29]
    turned = columns.transpose(2, 3)
    assert shift(turned, down=1, right=0)[0, 0, :4, 0].tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize(
    ("name", "down", "right"),
    [("up_left", -1, -1), ("up_right", -1, 1), ("down_left", 1, -1), ("down_right", 1, 1)],
)
def test_shifts_go_where_their_names_say(noise, name, down, right):
    moved = VIEWS[name](noise)
    inside = moved[:, :, 1 + down : 31 + down, 1 + right : 31 + right]
    assert torch.equal(inside, noise[:, :, 1:31, 1:31])


def test_two_in_turn_shift_first(noise):
    assert torch.equal(VIEWS["flip_up_left"](noise), flip(shift(noise, down=-1, right=-1)))
    assert torch.equal(VIEWS["flip_down_right"](noise), flip(shift(noise, down=1, right=1)))


def test_quarter_turns_are_exact_and_counter_clockwise(columns, noise):
    assert turn(columns, quarters=1)[0, 0, :, 0].tolist() == list(range(31, -1, -1))
    assert torch.equal(turn(turn(noise, quarters=1), quarters=3), noise)
    assert torch.equal(turn(noise, quarters=2), flip(vertical_flip(noise)))


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_rotating_by_right_angles_is_turning(noise, quarters):
    found = rotate(noise, degrees=90 * quarters)
    torch.testing.assert_close(found, turn(noise, quarters=quarters), atol=1e-4, rtol=0)


@pytest.mark.parametrize("degrees", [-10, 5, 33])
def test_rotate_agrees_with_torchvision_inside(noise, degrees):
    """Beyond the border torchvision puts black, and we a reflection."""
    theirs = torchvision.rotate(noise, degrees, interpolation=InterpolationMode.BILINEAR)
    inside = (..., slice(9, 23), slice(9, 23))
    ours = rotate(noise, degrees=degrees)
    torch.testing.assert_close(ours[inside], theirs[inside], atol=1e-4, rtol=0)
    assert not torch.allclose(ours, theirs, atol=0.1)


def test_rotate_needs_no_black_corners():
    white = torch.ones(1, 3, 32, 32)
    torch.testing.assert_close(rotate(white, degrees=10), white)


def test_crop_enlarges_a_part(columns, noise):
    assert torch.equal(crop(noise, top=0, left=0, side=32), noise)
    found = crop(columns, top=4, left=4)
    assert found.shape == columns.shape
    assert found[0, 0, 0, 0] == 4  # the corner pixel, repeated beyond its centre
    assert found[0, 0, 0, -1] == 31
    centre = VIEWS["crop_centre"](columns)[0, 0, 0]
    assert (centre[0], centre[-1]) == (2, 29)


def test_the_five_crops_are_torchvisions(noise):
    names = ("top_left", "top_right", "bottom_left", "bottom_right", "centre")
    for name, part in zip(names, torchvision.five_crop(noise, [28, 28]), strict=True):
        larger = torchvision.resize(part, [32, 32], antialias=False)
        torch.testing.assert_close(VIEWS[f"crop_{name}"](noise), larger)


@each_view
def test_normalising_before_or_after_is_the_same(name):
    pixels = torch.randint(256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(1))
    data = DataConfig()
    before = VIEWS[name](normalise(pixels.byte(), data))
    after = VIEWS[name](pixels.float())  # 0 to 255, and fractions between pixels
    mean, std = (torch.tensor(x)[:, None, None] for x in (data.mean, data.std))
    torch.testing.assert_close(before, (after / 255 - mean) / std, atol=1e-4, rtol=1e-4)


@each_view
def test_a_view_keeps_shape_and_type_and_leaves_its_input_alone(name, noise):
    batch = noise.contiguous(memory_format=torch.channels_last)
    copy = batch.clone()
    seen = VIEWS[name](batch)
    assert (seen.shape, seen.dtype) == (batch.shape, batch.dtype)
    assert torch.equal(batch, copy)


@each_view
def test_images_of_a_batch_do_not_meet(name, noise):
    alone = torch.cat([VIEWS[name](image[None]) for image in noise])
    torch.testing.assert_close(VIEWS[name](noise), alone)


def test_no_view_is_another_one_and_every_view_is_used(noise):
    seen = {name: view(noise) for name, view in VIEWS.items()}
    names = list(seen)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            assert not torch.allclose(seen[a], seen[b], atol=1e-3), (a, b)
    assert torch.equal(plain(noise), noise)
    assert set(distinct_views()) == set(VIEWS)
