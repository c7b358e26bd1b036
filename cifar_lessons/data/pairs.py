"""Two views of each image: what a network without labels is asked to recognise as one thing.

A view is a random crop resized to one side, mirrored half of the time, its colours moved, and
sometimes grey. As in `augment`, the draws of an epoch are made for all images at once, so a view
depends on (seed, epoch, image) alone. A crop and its resizing are two small matrices an image:
one for the rows and one for the columns.

Source: Chen et al. (2020), arXiv:2002.05709, appendices A and B.9: for CIFAR no blur, and half the
strength of colour changes. Departures: the colour changes come in one order (theirs is drawn),
nothing is rounded to whole pixels in between, a crop keeps a fifth of the area at least (theirs
0.08), and a view has 24 pixels a side, both by `PairConfig`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cifar_lessons.config import PairConfig
from cifar_lessons.data import colour
from cifar_lessons.data.loader import Batch, TrainLoader, normalise
from cifar_lessons.runtime import stream

SIDE = 32  # pixels of an image of the data set
RATIOS = (3 / 4, 4 / 3)  # width to height of a crop, as in torchvision's RandomResizedCrop
ATTEMPTS = 10  # crops drawn for an image, of which the first that fits is taken


@dataclass(frozen=True)
class ViewDraws:
    """What an epoch does to each of N images for one of the two views.

    Shapes: box (N, 4) int64, top, left, height and width of the crop in pixels; flip and grey
    (N,) bool; brightness, contrast, saturation (N,) factors around 1; hue (N,) turns around 0.
    """

    box: Tensor
    flip: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    grey: Tensor

    def __getitem__(self, which: Tensor) -> "ViewDraws":
        """Return the draws of some images."""
        return ViewDraws(*(t[which] for t in vars(self).values()))


def draw_view(
    num_images: int, config: PairConfig, *, seed: int, epoch: int, view: int
) -> ViewDraws:
    """Return the draws of one epoch for all images.

    Args:
        num_images: N, the size of the whole split.
        config: How far a view may go.
        seed: Of the run.
        epoch: From 0.
        view: 0 or 1.
    """
    rng = stream(seed, "augment", epoch, 2, view)
    box = _boxes(num_images, config, rng)
    flip = torch.rand(num_images, generator=rng) < 0.5
    moved = torch.rand(num_images, generator=rng) < config.jitter
    strengths = (config.brightness, config.contrast, config.saturation, config.hue)
    offsets = []
    for strength in strengths:
        offset = (2 * torch.rand(num_images, generator=rng) - 1) * strength
        offsets.append(torch.where(moved, offset, 0.0))
    grey = torch.rand(num_images, generator=rng) < config.grey
    brightness, contrast, saturation, hue = offsets
    return ViewDraws(box, flip, 1 + brightness, 1 + contrast, 1 + saturation, hue, grey)


def _boxes(num_images: int, config: PairConfig, rng: torch.Generator) -> Tensor:
    """Return a crop for each image, (N, 4) int64, distributed as RandomResizedCrop's are."""
    shape = (num_images, ATTEMPTS)
    area = SIDE**2 * (config.smallest + (1 - config.smallest) * torch.rand(shape, generator=rng))
    low, high = (math.log(r) for r in RATIOS)
    ratio = torch.exp(low + (high - low) * torch.rand(shape, generator=rng))
    sides = torch.stack([(area / ratio).sqrt().round(), (area * ratio).sqrt().round()], 2).long()
    fits = ((sides >= 1) & (sides <= SIDE)).all(2)  # (N, ATTEMPTS)
    first = fits.int().argmax(1)
    chosen = sides[torch.arange(num_images), first]  # (N, 2): height, width
    chosen = torch.where(fits.any(1, keepdim=True), chosen, SIDE)
    corner = (torch.rand(num_images, 2, generator=rng) * (SIDE - chosen + 1)).long()
    return torch.cat([corner, chosen], 1)


def resampling(start: Tensor, length: Tensor, side: int) -> Tensor:
    """Return matrices (B, side, 32) that cut a stretch out of a line of pixels and resize it.

    Bilinear, as torchvision resizes a crop without antialiasing: each new pixel is a mean of two
    old ones, weighted by how near they are, and none from outside of the crop.

    Args:
        start: First pixel of the stretch, (B,).
        length: Pixels of the stretch, (B,).
        side: Pixels that come out.
    """
    steps = (torch.arange(side, device=start.device) + 0.5) / side
    place = steps * length[:, None] - 0.5  # (B, side), in pixels of the stretch
    place = torch.minimum(place.clamp_(min=0), length[:, None] - 1.0) + start[:, None]
    pixels = torch.arange(SIDE, device=start.device)
    return (1 - (place[:, :, None] - pixels).abs()).clamp_(min=0)


def crop_and_resize(images: Tensor, draws: ViewDraws, side: int) -> Tensor:
    """Return the crops, mirrored where that was drawn.

    Shapes: (B, 3, 32, 32) float to (B, 3, side, side) float.
    """
    top, left, height, width = draws.box.unbind(1)
    rows = resampling(top, height, side)
    columns = resampling(left, width, side)
    columns = torch.where(draws.flip[:, None, None], columns.flip(1), columns)
    return rows[:, None] @ images.contiguous() @ columns.mT[:, None]


def recolour(images: Tensor, draws: ViewDraws) -> Tensor:
    """Return images with other colours; shapes (B, 3, H, W), values in [0, 1]."""
    images = colour.adjust_brightness(images, draws.brightness)
    images = colour.adjust_contrast(images, draws.contrast)
    images = colour.adjust_saturation(images, draws.saturation)
    images = colour.adjust_hue(images, draws.hue)
    return torch.where(draws.grey[:, None, None, None], colour.to_grey(images), images)


def look(images: Tensor, draws: ViewDraws, config: PairConfig) -> Tensor:
    """Return one view of each image: (B, 3, 32, 32) uint8 to (B, 3, side, side) in [0, 1]."""
    return recolour(crop_and_resize(images.float().div_(255), draws, config.side), draws)


class PairLoader(TrainLoader):
    """Shuffled batches of pairs of views; the same for the same (seed, epoch).

    A batch holds a view of each image as `images` and another one as `second`.
    """

    def _views(self, epoch: int) -> Callable[[Tensor], Batch]:
        """Return what gives two views of the images at some positions of the split."""
        config = self.data.pair
        assert config is not None
        draws = []
        for view in (0, 1):
            drawn = draw_view(len(self.split), config, seed=self.seed, epoch=epoch, view=view)
            draws.append(ViewDraws(*(t.to(self.device) for t in vars(drawn).values())))

        def batch(which: Tensor) -> Batch:
            images, seen = self.split.images[which], []
            for of_view in draws:
                pixels = look(images, of_view[which], config).mul_(255)
                pixels = pixels.contiguous(memory_format=torch.channels_last)
                seen.append(normalise(pixels, self.data))
            labels, index = self.split.labels[which], self.split.index[which]
            return Batch(seen[0], labels, index, second=seen[1])

        return batch
