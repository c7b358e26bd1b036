"""Thirteen ways to spoil an image, in five severities: in the style of CIFAR-10-C.

They follow Hendrycks & Dietterich (2019), arXiv:1903.12261, section 3 and appendix B, with the
severities of the authors' script for CIFAR-10 (hendrycks/robustness, make_cifar_c.py), in code of
our own. **They are not CIFAR-10-C**: that is a set of files, made once, with other random draws and
other libraries. Numbers on ours can't be compared with published ones to the point. Left out are
frost, which needs photographs of ice, and glass blur, snow and spatter, which need long recipes
for one effect; saturate comes from the authors' extra set.

What is random depends on (seed, corruption, position of the image) alone: not on the batch that an
image comes in, nor on the severity, so that severities differ in strength and not in luck.
"""

import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image

from cifar_lessons.data import distortions
from cifar_lessons.errors import UserError, suggest

Pixels = npt.NDArray[np.uint8]  # (N, 3, H, W)
Floats = npt.NDArray[np.float32]  # (N, 3, H, W) in [0, 1]
Streams = Iterator[np.random.Generator]  # one for each image, in order
Corruption = Callable[[Floats, int, Streams], Floats]

SEVERITIES = (1, 2, 3, 4, 5)


def corrupt(
    images: Pixels,
    name: str,
    severity: int,
    *,
    seed: int = 0,
    index: npt.NDArray[np.int64] | None = None,
) -> Pixels:
    """Return spoiled copies of images.

    Args:
        images: uint8, (N, 3, 32, 32).
        name: A key of `CORRUPTIONS`.
        severity: From 1, hardly to be seen, to 5.
        seed: Of everything random.
        index: Position of each image in its data set, (N,), which its random draws hang on; 0 to
            N - 1 without.

    Raises:
        UserError: An unknown name, or another severity.
        ValueError: Images of another type or shape, or positions of another number.
    """
    if name not in CORRUPTIONS:
        raise UserError(f"no corruption {name!r}: {suggest(name, CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise UserError(f"severity must be 1, 2, 3, 4 or 5, got {severity!r}; 3 is the middle")
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"images must be uint8, (N, 3, 32, 32), got {images.dtype} {images.shape}; give the "
            "pixels before normalisation"
        )
    where = np.arange(len(images)) if index is None else np.asarray(index)
    if where.shape != images.shape[:1]:
        raise ValueError(f"{where.shape} positions for {len(images)} images; give one each")
    pixels = np.asarray(images / 255, np.float32)
    spoiled = CORRUPTIONS[name](pixels, severity, _streams(seed, name, where))
    return (spoiled.clip(0, 1) * 255).round().astype(np.uint8)


def _streams(seed: int, name: str, index: npt.NDArray[np.int64]) -> Streams:
    """Yield a generator for each image: Philox numbers its streams, so none has to be drawn."""
    [key] = np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1, np.uint64)
    for position in index:
        yield np.random.Generator(np.random.Philox(key=np.array([key, position], np.uint64)))


def _each(streams: Streams, draw: Callable[[np.random.Generator], npt.ArrayLike]) -> Floats:
    """Return one draw an image, stacked."""
    return np.stack([np.asarray(draw(rng), np.float32) for rng in streams])


# --- Noise ----------------------------------------------------------------------------------


def gaussian_noise(x: Floats, severity: int, streams: Streams) -> Floats:
    """Add what a sensor adds in bad light."""
    size = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return x + size * _each(streams, lambda rng: rng.standard_normal(x.shape[1:], np.float32))


def shot_noise(x: Floats, severity: int, streams: Streams) -> Floats:
    """Count photons: a pixel of brightness 1 expects `photons` of them."""
    photons = (500, 250, 100, 75, 50)[severity - 1]
    counted = [rng.poisson(image * photons) for image, rng in zip(x, streams, strict=True)]
    return np.asarray(np.stack(counted) / photons, np.float32)


def impulse_noise(x: Floats, severity: int, streams: Streams) -> Floats:
    """Set a share of all numbers to black or white, as broken cells do."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    drawn = _each(streams, lambda rng: rng.random(x.shape[1:], np.float32))
    # One draw for both: below half the share it is black, below the share white.
    return np.where(drawn < share, np.where(drawn < share / 2, 0, 1), x).astype(np.float32)


# --- Light and colour -----------------------------------------------------------------------


def fog(x: Floats, severity: int, streams: Streams) -> Floats:
    """Lay a cloud over the image, and darken the sum to the old maximum."""
    thickness, decay = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))[severity - 1]
    noise = _each(streams, lambda rng: rng.uniform(-1, 1, (2, *x.shape[2:])))
    cloud = distortions.plasma(noise, decay=decay)[:, None]  # (N, 1, H, W) in [0, 1]
    most = x.max(axis=(1, 2, 3), keepdims=True)
    return np.asarray((x + thickness * cloud) * most / (most + thickness), np.float32)


def brightness(x: Floats, severity: int, streams: Streams) -> Floats:
    """Add to the V of hue, saturation and value."""
    value = x.max(axis=1, keepdims=True)
    brighter = (value + (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]).clip(0, 1)
    # Hue and saturation stay if all three colours grow alike; black has neither and turns grey.
    scaled = x * brighter / np.maximum(value, 1e-6)
    return np.asarray(np.where(value > 0, scaled, brighter), np.float32)


def contrast(x: Floats, severity: int, streams: Streams) -> Floats:
    """Draw all pixels towards the mean colour of their image."""
    kept = (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1]
    mean = x.mean(axis=(2, 3), keepdims=True)
    return np.asarray(mean + kept * (x - mean), np.float32)


def saturate(x: Floats, severity: int, streams: Streams) -> Floats:
    """Change the S of hue, saturation and value: paler at 1 and 2, then more colourful."""
    factor, added = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))[severity - 1]
    value = x.max(axis=1, keepdims=True)
    saturation = 1 - x.min(axis=1, keepdims=True) / np.maximum(value, 1e-6)
    stronger = (saturation * factor + added).clip(0, 1)
    # The distance to the brightest colour grows with S. A grey has no hue, and stays grey.
    growth = np.where(saturation > 0, stronger / np.maximum(saturation, 1e-6), 0)
    return np.asarray(value - (value - x) * growth, np.float32)


# --- Files and screens ----------------------------------------------------------------------


def pixelate(x: Floats, severity: int, streams: Streams) -> Floats:
    """Shrink and enlarge with a box filter."""
    side = int(x.shape[-1] * (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1])

    def coarse(picture: Image.Image) -> Image.Image:
        small = picture.resize((side, side), Image.Resampling.BOX)
        return small.resize(picture.size, Image.Resampling.BOX)

    return _through_pillow(x, coarse)


def jpeg(x: Floats, severity: int, streams: Streams) -> Floats:
    """Save and open as JPEG."""
    quality = (80, 65, 58, 50, 40)[severity - 1]

    def saved(picture: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer)

    return _through_pillow(x, saved)


def _through_pillow(x: Floats, change: Callable[[Image.Image], Image.Image]) -> Floats:
    pixels = (255 * x).round().astype(np.uint8).transpose(0, 2, 3, 1)
    changed = np.stack([np.asarray(change(Image.fromarray(image))) for image in pixels])
    return np.asarray(changed.transpose(0, 3, 1, 2) / 255, np.float32)


# --- Blur and displacement: the arithmetic is in `distortions` --------------------------------


def defocus_blur(x: Floats, severity: int, streams: Streams) -> Floats:
    """Spread each point over a disk, as a lens out of focus does."""
    radius, soft = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))[severity - 1]
    return distortions.filtered(x, distortions.disk(radius, soft))


def motion_blur(x: Floats, severity: int, streams: Streams) -> Floats:
    """Smear each point along a line, at most 45 degrees from the horizontal."""
    reach, spread = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))[severity - 1]
    angle = _each(streams, lambda rng: rng.uniform(-np.pi / 4, np.pi / 4))
    return distortions.smeared(x, angle, reach=reach, spread=spread)


def zoom_blur(x: Floats, severity: int, streams: Streams) -> Floats:
    """Average the image with enlargements of itself, as moving towards it does."""
    largest = (1.05, 1.10, 1.15, 1.20, 1.25)[severity - 1]
    return distortions.zoomed(x, np.arange(1, largest + 0.005, 0.01))


def elastic(x: Floats, severity: int, streams: Streams) -> Floats:
    """Stretch the image a little as a whole, and each region in another direction."""
    push, smooth, stretch = (
        (0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)
    )[severity - 1]  # fmt: skip
    side = x.shape[-1]
    drawn = _each(streams, lambda rng: rng.uniform(-1, 1, 6 + 2 * side * side))
    corners, fields = drawn[:, :6].reshape(-1, 3, 2), drawn[:, 6:].reshape(-1, 2, side, side)
    return distortions.stretched(
        x, side * stretch * corners, fields, push=side * push, smooth=side * smooth
    )


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        "gaussian_noise": gaussian_noise,
        "shot_noise": shot_noise,
        "impulse_noise": impulse_noise,
        "defocus_blur": defocus_blur,
        "motion_blur": motion_blur,
        "zoom_blur": zoom_blur,
        "fog": fog,
        "brightness": brightness,
        "contrast": contrast,
        "saturate": saturate,
        "elastic": elastic,
        "pixelate": pixelate,
        "jpeg": jpeg,
    }
)
