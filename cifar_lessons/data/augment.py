"""Augmentation of whole uint8 batches, with one random draw an image and epoch.

All draws of an epoch are made at once and then looked up by image, so what happens to an image
depends on (seed, epoch, image) alone: not on the batch size, the order or the number of
machines. A resumed run needs an epoch number and no sampler state.

Sources: crop and flip as in He et al. (2015, arXiv:1512.03385, section 4.2), with a reflected
border in place of a black one; alternating flip: Jordan (2024, arXiv:2404.00498, section 3.6);
cutout: DeVries & Taylor (2017, arXiv:1708.04552).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cifar_lessons.config import AugmentConfig
from cifar_lessons.runtime import layout, stream


@dataclass(frozen=True)
class Draws:
    """What an epoch does to each of N images; row i belongs to the image at position i.

    Shapes: shift (N, 2) int64 in [0, 2 * crop_padding], rows then columns; flip (N,) bool;
    hole (N, 2) int64 in [0, 32), the centre of the cutout square.
    """

    shift: Tensor
    flip: Tensor
    hole: Tensor


def draw(num_images: int, config: AugmentConfig, *, seed: int, epoch: int) -> Draws:
    """Return the draws of one epoch for all images.

    Args:
        num_images: N, the size of the whole split.
        config: Which augmentations are on.
        seed: Of the run.
        epoch: From 0.
    """
    rng = stream(seed, "augment", epoch)
    shift = torch.randint(0, 2 * config.crop_padding + 1, (num_images, 2), generator=rng)
    flip = torch.rand(num_images, generator=rng) < 0.5
    hole = torch.randint(0, 32, (num_images, 2), generator=rng)
    if config.flip == "none":
        flip = torch.zeros(num_images, dtype=torch.bool)
    if config.flip == "alternating":
        # A coin for each image in epoch 0; then every epoch shows the other side. Two epochs
        # see both sides of every image, where independent coins repeat one side half the time.
        first = torch.rand(num_images, generator=stream(seed, "augment", 0, 1)) < 0.5
        flip = first ^ bool(epoch % 2)
    return Draws(shift, flip, hole)


def pad(images: Tensor, config: AugmentConfig) -> Tensor:
    """Return images with a reflected border of `crop_padding` pixels, ready for `augment`.

    Done once a run, not once a batch. Shapes: (N, 3, 32, 32) -> (N, 3, 32 + 2p, 32 + 2p) uint8,
    channels_last.
    """
    p = config.crop_padding
    if p == 0:
        return images.contiguous(memory_format=torch.channels_last)
    # Reflection by indexing: exact on uint8, which F.pad would first turn into floats.
    rows = F.pad(torch.arange(32, dtype=torch.float32)[None, None], (p, p), mode="reflect")
    where = rows.flatten().long().to(images.device)
    return images[:, :, where][:, :, :, where].contiguous(memory_format=torch.channels_last)


def augment(padded: Tensor, draws: Draws, which: Tensor, config: AugmentConfig) -> Tensor:
    """Return the chosen images as this epoch shows them.

    Args:
        padded: All N images after `pad`, (N, 3, 32 + 2p, 32 + 2p) uint8, channels_last.
        draws: The epoch's draws for all N.
        which: Positions of the batch, (B,) int64.
        config: Which augmentations are on.

    Returns:
        (B, 3, 32, 32) uint8, channels_last. Cutout is left to `cut_out`, which needs the mean
        colour and so works on normalised pixels.
    """
    if config.crop_padding == 0:
        images = padded[which]
    else:
        # Every window of every image, as a view; picking one an image copies 3 KB an image.
        windows = padded.permute(0, 2, 3, 1).unfold(1, 32, 1).unfold(2, 32, 1)
        shift = draws.shift[which]
        picked = windows[which, shift[:, 0], shift[:, 1]]  # (B, 3, 32, 32)
        images = picked.contiguous(memory_format=torch.channels_last)
    if config.flip == "none":
        return images
    return torch.where(draws.flip[which][:, None, None, None], images.flip(3), images)


def cut_out(images: Tensor, draws: Draws, which: Tensor, config: AugmentConfig) -> Tensor:
    """Return normalised images with a square set to 0, which is the mean colour.

    The square is cut off at the border, as in the source. Shapes: (B, 3, 32, 32) float,
    channels_last.
    """
    if config.cutout == 0:
        return images
    hole = draws.hole[which]  # (B, 2)
    line = torch.arange(32, device=images.device)
    start = hole - config.cutout // 2  # (B, 2)
    inside = (line >= start[..., None]) & (line < start[..., None] + config.cutout)  # (B, 2, 32)
    square = inside[:, 0, :, None] & inside[:, 1, None, :]  # (B, 32, 32)
    # The broadcast mask would bring the result back to the default layout.
    erased = images.masked_fill(square[:, None], 0.0)
    return erased.contiguous(memory_format=layout(erased.device))
