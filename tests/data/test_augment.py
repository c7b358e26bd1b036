"""Mirrors cifar_lessons/data/augment.py.

The reference is torchvision.transforms.v2, one image at a time, told the same draws.
"""

import dataclasses
import itertools

import pytest
import torch
import torchvision.transforms.v2.functional as vision
from scipy import stats
from torch import Tensor

from cifar_lessons.config import AugmentConfig, DataConfig
from cifar_lessons.data.augment import Draws, augment, cut_out, draw, pad
from cifar_lessons.data.loader import normalise

N = 48
CONFIGS = [
    AugmentConfig(),
    AugmentConfig(crop_padding=1),
    AugmentConfig(crop_padding=4),
    AugmentConfig(crop_padding=16),
    AugmentConfig(flip="random"),
    AugmentConfig(flip="alternating"),
    AugmentConfig(cutout=1),
    AugmentConfig(cutout=7),
    AugmentConfig(cutout=32),
    AugmentConfig(crop_padding=4, flip="random", cutout=8),
    AugmentConfig(crop_padding=2, flip="alternating", cutout=12),
]


@pytest.fixture
def images() -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (N, 3, 32, 32), dtype=torch.uint8, generator=rng)


def view(images: Tensor, draws: Draws, which: Tensor, config: AugmentConfig) -> Tensor:
    """What the loader does with a batch."""
    pixels = augment(pad(images, config), draws, which, config)
    assert pixels.shape == (len(which), 3, 32, 32)
    assert pixels.dtype is torch.uint8
    return cut_out(normalise(pixels, DataConfig()), draws, which, config)


def view_of_one(image: Tensor, draws: Draws, i: int, config: AugmentConfig) -> Tensor:
    """The same by torchvision: pad, crop, flip, to float, normalise, erase."""
    image = vision.pad(image, [config.crop_padding] * 4, padding_mode="reflect")
    top, left = draws.shift[i].tolist()
    image = vision.crop(image, top, left, 32, 32)
    if draws.flip[i]:
        image = vision.horizontal_flip(image)
    image = vision.to_dtype(image, torch.float32, scale=True)
    image = vision.normalize(image, list(DataConfig().mean), list(DataConfig().std))
    if config.cutout:
        first = [c - config.cutout // 2 for c in draws.hole[i].tolist()]
        (y0, y1), (x0, x1) = [(max(f, 0), min(f + config.cutout, 32)) for f in first]
        image = vision.erase(image, y0, x0, y1 - y0, x1 - x0, torch.zeros(3, 1, 1))
    return image


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("epoch", [0, 3])
def test_each_image_is_as_torchvision_makes_it(images, config, epoch):
    draws = draw(N, config, seed=5, epoch=epoch)
    which = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    got = view(images, draws, which, config)
    for row, i in enumerate(which.tolist()):
        expected = view_of_one(images[i], draws, i, config)
        torch.testing.assert_close(got[row], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_view_of_an_image_depends_on_no_batch(images, config):
    """Any batch size, any order, any division among machines: the same view."""
    draws = draw(N, config, seed=0, epoch=1)
    everything = view(images, draws, torch.arange(N), config)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    for size in (1, 5, N):
        for which in order.split(size):
            assert torch.equal(view(images, draws, which, config), everything[which])
    for rank in range(3):
        mine = torch.arange(rank, N, 3)
        assert torch.equal(view(images, draws, mine, config), everything[mine])


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_data_set_is_left_as_it_was(images, config):
    before = images.clone()
    view(images, draw(N, config, seed=0, epoch=0), torch.arange(N), config)
    assert torch.equal(images, before)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("padding", [1, 4, 16])
def test_border_is_torchvisions_reflection(images, padding, layout):
    got = pad(images.contiguous(memory_format=layout), AugmentConfig(crop_padding=padding))
    assert torch.equal(got, vision.pad(images, [padding] * 4, padding_mode="reflect"))


FULL = AugmentConfig(crop_padding=4, flip="random", cutout=8)


def rows(draws: Draws) -> Tensor:
    return torch.cat([draws.shift, draws.flip[:, None].long(), draws.hole], dim=1)  # (N, 5)


def test_draws_repeat_for_a_seed_and_epoch_whatever_else_was_drawn():
    first = draw(N, FULL, seed=3, epoch=7)
    torch.manual_seed(1)
    torch.rand(5)
    state = torch.get_rng_state()
    again = draw(N, FULL, seed=3, epoch=7)
    assert torch.equal(rows(first), rows(again))
    assert torch.equal(torch.get_rng_state(), state)  # and the global stream is left alone


def test_no_two_seeds_or_epochs_share_their_draws():
    """`seed + epoch` as a seed would make (0, 1) and (1, 0) twins."""
    drawn = {
        (seed, epoch): rows(draw(N, FULL, seed=seed, epoch=epoch))
        for seed in range(4)
        for epoch in range(4)
    }
    for one, a in drawn.items():
        for other, b in drawn.items():
            # A row repeats by chance once in 81 * 2 * 1024 images.
            assert one == other or (a == b).all(dim=1).sum() <= 1, (one, other)


def test_epochs_draw_anew_for_each_image():
    flips = torch.stack([draw(1_000, FULL, seed=0, epoch=e).flip for e in range(10)])
    # Ten fair coins an image: all alike for 2 images in 1,024.
    alike = (flips == flips[0]).all(dim=0).sum().item()
    assert 0 <= alike <= 10
    assert stats.binomtest(int(flips.sum()), flips.numel()).pvalue > 1e-3


@pytest.mark.parametrize("seed", [0, 1])
def test_alternating_flip_shows_both_sides_in_any_two_epochs(seed):
    config = AugmentConfig(flip="alternating")
    flips = [draw(2_000, config, seed=seed, epoch=e).flip for e in range(5)]
    for now, after in itertools.pairwise(flips):
        assert torch.equal(after, ~now)
    # Which side comes first is a fair coin an image, and another one for another seed.
    assert stats.binomtest(int(flips[0].sum()), 2_000).pvalue > 1e-3
    other = draw(2_000, config, seed=seed + 1, epoch=0).flip
    assert stats.binomtest(int((flips[0] ^ other).sum()), 2_000).pvalue > 1e-3


def test_alternating_flip_shows_pixels_and_then_their_mirror_image(images):
    config = AugmentConfig(flip="alternating")
    which = torch.arange(N)
    even, odd = (augment(images, draw(N, config, seed=0, epoch=e), which, config) for e in (0, 1))
    assert torch.equal(even, odd.flip(3))
    shown_as_stored = (even == images).flatten(1).all(dim=1)
    assert 0 < shown_as_stored.sum() < N


def test_random_choices_are_uniform_and_independent():
    n = 50_000
    draws = draw(n, FULL, seed=0, epoch=0)
    assert draws.shift.min() == 0
    assert draws.shift.max() == 8
    # 81 offsets x 2 sides as one table: uniform, so also independent of each other.
    cell = (draws.shift[:, 0] * 9 + draws.shift[:, 1]) * 2 + draws.flip
    assert stats.chisquare(torch.bincount(cell, minlength=162).numpy()).pvalue > 1e-3
    hole = draws.hole[:, 0] * 32 + draws.hole[:, 1]
    assert stats.chisquare(torch.bincount(hole, minlength=1024).numpy()).pvalue > 1e-3


def test_what_is_off_draws_nothing(images):
    config = AugmentConfig()
    draws = draw(N, config, seed=0, epoch=0)
    assert not draws.shift.any()
    assert not draws.flip.any()
    which = torch.tensor([7, 3, 3])
    assert torch.equal(augment(pad(images, config), draws, which, config), images[which])


def test_cutout_erases_a_square_that_is_cut_off_at_the_border():
    config = AugmentConfig(cutout=8)
    draws = dataclasses.replace(
        draw(3, config, seed=0, epoch=0), hole=torch.tensor([[16, 16], [0, 16], [31, 31]])
    )
    cut = cut_out(torch.ones(3, 3, 32, 32), draws, torch.arange(3), config)
    assert (cut == 0).sum(dim=(1, 2, 3)).tolist() == [3 * 8 * 8, 3 * 4 * 8, 3 * 5 * 5]
    assert not cut[0, :, 12:20, 12:20].any()
