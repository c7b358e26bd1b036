"""What each view does to a batch of images.

A view takes (B, C, H, W) floats and returns as many of the same size. It moves pixels, or mixes
them with weights that add up to 1. So it makes no difference whether an image is normalised before
or after; the library does it before. What would lie outside the image is reflected, as in the crops
of training.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

View = Callable[[Tensor], Tensor]

CROP = 28  # pixels of 32: as much of a side as 224 of 256, the crops of the ImageNet papers


def plain(images: Tensor) -> Tensor:
    """Return the images as they are."""
    return images


def flip(images: Tensor) -> Tensor:
    """Return the mirror images, left for right."""
    return images.flip(3)


def vertical_flip(images: Tensor) -> Tensor:
    """Return the images mirrored upside down: not what training images look like."""
    return images.flip(2)


def shift(images: Tensor, *, down: int, right: int) -> Tensor:
    """Return images moved by some pixels, with what lies at the border reflected into the gap."""
    size, pad = images.shape[-1], max(abs(down), abs(right))
    padded = F.pad(images, (pad,) * 4, mode="reflect")
    return padded[:, :, pad - down : pad - down + size, pad - right : pad - right + size]


def turn(images: Tensor, *, quarters: int) -> Tensor:
    """Return square images in quarter turns, counter-clockwise: exact, no pixel is mixed."""
    return torch.rot90(images, quarters, (2, 3))


def rotate(images: Tensor, *, degrees: float) -> Tensor:
    """Return square images turned about their centre, counter-clockwise.

    Each pixel is a mean of the four that it comes from (bilinear), which blurs a little.
    """
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    cos, sin = angle.cos(), angle.sin()
    # From places in the new image to places in the old one; the vertical axis points down.
    matrix = torch.stack([cos, -sin, cos * 0, sin, cos, cos * 0]).reshape(1, 2, 3)
    matrix = matrix.to(images.dtype)  # first: not every device knows float64
    grid = F.affine_grid(matrix, [1, 1, *images.shape[2:]], align_corners=False)
    grid = grid.to(images.device).expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def crop(images: Tensor, *, top: int, left: int, side: int = CROP) -> Tensor:
    """Return a square of the images, enlarged to their size (bilinear).

    Args:
        images: (B, C, H, W).
        top: First row of the square.
        left: First column.
        side: Rows and columns of it.
    """
    part = images[:, :, top : top + side, left : left + side]
    return F.interpolate(part, size=images.shape[2:], mode="bilinear", align_corners=False)


def _in_turn(*views: View) -> View:
    def both(images: Tensor) -> Tensor:
        for view in views:
            images = view(images)
        return images

    return both


_up_left, _up_right = partial(shift, down=-1, right=-1), partial(shift, down=-1, right=1)
_down_left, _down_right = partial(shift, down=1, right=-1), partial(shift, down=1, right=1)
_END = 32 - CROP

VIEWS: Mapping[str, View] = MappingProxyType(
    {
        "plain": plain,
        "flip": flip,
        "vertical_flip": vertical_flip,
        "up_left": _up_left,
        "up_right": _up_right,
        "down_left": _down_left,
        "down_right": _down_right,
        "flip_up_left": _in_turn(_up_left, flip),
        "flip_down_right": _in_turn(_down_right, flip),
        "crop_top_left": partial(crop, top=0, left=0),
        "crop_top_right": partial(crop, top=0, left=_END),
        "crop_bottom_left": partial(crop, top=_END, left=0),
        "crop_bottom_right": partial(crop, top=_END, left=_END),
        "crop_centre": partial(crop, top=_END // 2, left=_END // 2),
        **{f"rotate_{d}": partial(rotate, degrees=d) for d in (-10, -5, 5, 10)},
        **{f"turn_{90 * n}": partial(turn, quarters=n) for n in (1, 2, 3)},
    }
)
