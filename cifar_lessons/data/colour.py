"""Moving the colours of whole batches, each image by amounts of its own.

Each function does to image i what the function of the same name of
`torchvision.transforms.v2.functional` does to it, for float images in [0, 1]. There a batch shares
one amount; with an image at a time, the calls would cost more than the arithmetic.

Source of the set (brightness, contrast, saturation, hue, and grey): Chen et al. (2020),
arXiv:2002.05709, appendix A.
"""

import torch
from torch import Tensor

GREY = (0.2989, 0.587, 0.114)  # how bright the eye finds red, green and blue


def to_grey(images: Tensor) -> Tensor:
    """Return the brightness of each pixel: (B, 3, H, W) to (B, 1, H, W)."""
    red, green, blue = images.unbind(1)
    return (GREY[0] * red + GREY[1] * green + GREY[2] * blue)[:, None]


def blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    """Return `factor * image + (1 - factor) * other`, cut off to [0, 1].

    Args:
        images: (B, 3, H, W) in [0, 1].
        others: Of a shape that broadcasts to it.
        factors: (B,), >= 0; 1 leaves an image as it is, and above 1 the difference grows.
    """
    f = factors[:, None, None, None]
    return (f * images + (1 - f) * others).clamp_(0, 1)


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Return images as far from black as `factors` (B,) say."""
    return blend(images, torch.zeros_like(images[:1, :1]), factors)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Return images as far from a plain grey of their mean brightness as `factors` (B,) say."""
    return blend(images, to_grey(images).mean(dim=(1, 2, 3), keepdim=True), factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Return images as far from their own grey picture as `factors` (B,) say."""
    return blend(images, to_grey(images), factors)


def adjust_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Return images whose colours went round the colour circle.

    Args:
        images: (B, 3, H, W) in [0, 1].
        turns: (B,), in [-0.5, 0.5]; 1 would be the whole circle.
    """
    top, bottom = images.amax(dim=1), images.amin(dim=1)  # (B, H, W)
    span = top - bottom
    red, green, blue = images.unbind(1)
    # Which sixth of the circle, as the distance of the middle colour from the largest one.
    safe = torch.where(span > 0, span, 1.0)
    hue = torch.where(
        top == red,
        (green - blue) / safe,
        torch.where(top == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = hue / 6 + turns[:, None, None]
    # Back: each channel is a trapezium over the circle, shifted by a third of it.
    offsets = torch.tensor([5.0, 3.0, 1.0], device=images.device)[:, None, None]
    place = (offsets + 6 * hue[:, None]) % 6  # (B, 3, H, W)
    slope = torch.minimum(place, 4 - place).clamp_(0, 1)
    return top[:, None] - span[:, None] * slope
