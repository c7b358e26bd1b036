"""Pictures that are none of the ten classes, drawn by the computer: no file is needed.

Eight kinds, from plain noise to a child's house. They are large when they are drawn, and shrunk to
32 x 32 as a photograph would be. They are no sample of anything: what a network says of them shows
*that* it can be sure of nonsense, not how often it will be.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from cifar_lessons.errors import UserError, suggest

SIDE = 128  # pixels of a drawing before it is shrunk
Colour = tuple[int, int, int]
Rng = np.random.Generator


def draw(kind: str, count: int, *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return drawings of one kind, each another: uint8, (count, 3, 32, 32).

    Args:
        kind: A key of `KINDS`.
        count: >= 1.
        seed: Of everything random. The first ones stay the same whatever `count` is.

    Raises:
        UserError: An unknown kind.
        ValueError: No drawing is wanted.
    """
    if kind not in KINDS:
        raise UserError(f"no kind of drawing {kind!r}: {suggest(kind, KINDS)}")
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}; try 20")
    number = list(KINDS).index(kind)
    found = []
    for index in range(count):
        picture = KINDS[kind](np.random.default_rng([seed, number, index]))
        small = picture.resize((32, 32), Image.Resampling.BICUBIC)
        found.append(np.asarray(small).transpose(2, 0, 1))
    return np.stack(found)


def write_set(folder: Path, kinds: Sequence[str], count: int, *, seed: int = 0) -> None:
    """Write drawings as PNG files of 128 x 128 pixels, a subfolder a kind: FOLDER/house/000.png.

    Args:
        folder: It is made; files of the same name are replaced.
        kinds: Keys of `KINDS`.
        count: Of each kind, >= 1.
        seed: See `draw`.

    Raises:
        UserError: An unknown kind.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f"no kind of drawing {kind!r}: {suggest(kind, KINDS)}")
        (folder / kind).mkdir(parents=True, exist_ok=True)
        number = list(KINDS).index(kind)
        for index in range(count):
            picture = KINDS[kind](np.random.default_rng([seed, number, index]))
            picture.save(folder / kind / f"{index:03}.png")


def _colour(rng: Rng, low: int = 0, high: int = 256) -> Colour:
    red, green, blue = rng.integers(low, high, 3).tolist()
    return red, green, blue


def _sheet(colour: Colour) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (SIDE, SIDE), colour)
    return picture, ImageDraw.Draw(picture)


def _noise(rng: Rng) -> Image.Image:
    """Return squares of random colours, from one to eight to a pixel of the shrunk picture."""
    side = 2 ** int(rng.integers(2, 6))
    pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST)


def _stripes(rng: Rng) -> Image.Image:
    angle, width, phase = rng.uniform(0, math.pi), rng.uniform(8, 40), rng.uniform(0, 2 * math.pi)
    down, right = np.mgrid[:SIDE, :SIDE]
    along = (down * math.cos(angle) + right * math.sin(angle)) * 2 * math.pi / width
    share = (0.5 + 0.5 * np.sin(along + phase))[..., None]
    pixels = share * _colour(rng) + (1 - share) * np.array(_colour(rng))
    return Image.fromarray(pixels.astype(np.uint8))


def _shapes(rng: Rng) -> Image.Image:
    picture, pen = _sheet(_colour(rng, 120))
    for _ in range(int(rng.integers(2, 6))):
        x, y, r = rng.uniform(10, 100), rng.uniform(10, 100), rng.uniform(10, 35)
        corners = int(rng.integers(3, 8))
        if corners == 7:  # a circle
            pen.ellipse((x - r, y - r, x + r, y + r), fill=_colour(rng))
        else:
            pen.regular_polygon((x, y, r), corners, float(rng.uniform(0, 90)), fill=_colour(rng))
    return picture


def _text(rng: Rng) -> Image.Image:
    picture, pen = _sheet(_colour(rng, 180))
    letters = "".join(chr(65 + int(k)) for k in rng.integers(0, 26, 2))
    font = ImageFont.load_default(size=float(rng.uniform(50, 85)))
    pen.text((SIDE / 2, SIDE / 2), letters, fill=_colour(rng, 0, 120), font=font, anchor="mm")
    return picture


def _face(rng: Rng) -> Image.Image:
    picture, pen = _sheet(_colour(rng, 80))
    x, y = rng.uniform(54, 74, 2).tolist()
    r = float(rng.uniform(38, 52))
    skin = _colour(rng, 150)
    pen.ellipse((x - r, y - r, x + r, y + r), fill=skin, outline=(40, 30, 20), width=3)
    for side in (-1, 1):
        ex, ey, e = x + side * 0.4 * r, y - 0.25 * r, 0.13 * r
        pen.ellipse((ex - e, ey - e, ex + e, ey + e), fill=(20, 20, 30))
    smiles = rng.random() < 0.7
    start, low = (20, -0.2) if smiles else (200, 0.25)
    mouth = (x - 0.5 * r, y + low * r, x + 0.5 * r, y + (low + 0.8) * r)
    pen.arc(mouth, start, start + 140, fill=(120, 20, 30), width=5)
    return picture


def _house(rng: Rng) -> Image.Image:
    picture, pen = _sheet((135, 190, 235))
    ground = float(rng.uniform(88, 108))
    pen.rectangle((0, ground, SIDE, SIDE), fill=(90, 150, 70))
    left, right = float(rng.uniform(15, 35)), float(rng.uniform(90, 112))
    eaves = float(rng.uniform(45, 62))
    pen.rectangle((left, eaves, right, ground), fill=_colour(rng, 120))
    roof = [(left - 6, eaves), ((left + right) / 2, eaves - 34), (right + 6, eaves)]
    pen.polygon(roof, fill=_colour(rng, 40, 180))
    door = left + 0.4 * (right - left)
    pen.rectangle((door, ground - 30, door + 16, ground), fill=(90, 60, 30))
    for x in (left + 8, right - 24):
        pen.rectangle(
            (x, eaves + 10, x + 16, eaves + 26), fill=(250, 240, 170), outline=(60, 50, 40)
        )
    return picture


def _flower(rng: Rng) -> Image.Image:
    picture, pen = _sheet(_colour(rng, 150))
    x, y = rng.uniform(50, 78, 2).tolist()
    pen.line((x, y, x + float(rng.uniform(-15, 15)), SIDE), fill=(60, 130, 50), width=7)
    petals, reach, colour = int(rng.integers(5, 9)), float(rng.uniform(20, 30)), _colour(rng)
    for k in range(petals):
        turn = 2 * math.pi * k / petals
        px, py, r = x + reach * math.cos(turn), y + reach * math.sin(turn), 0.55 * reach
        pen.ellipse((px - r, py - r, px + r, py + r), fill=colour)
    pen.ellipse((x - 12, y - 12, x + 12, y + 12), fill=(250, 210, 60))
    return picture


def _chart(rng: Rng) -> Image.Image:
    picture, pen = _sheet((250, 250, 250))
    pen.line((14, 10, 14, 116, 120, 116), fill=(30, 30, 30), width=4)
    for k in range(5):
        left, height = 22 + 20 * k, float(rng.uniform(10, 95))
        pen.rectangle((left, 114 - height, left + 14, 114), fill=_colour(rng))
    return picture


KINDS: Mapping[str, Callable[[Rng], Image.Image]] = MappingProxyType(
    {
        "noise": _noise,
        "stripes": _stripes,
        "shapes": _shapes,
        "letters": _text,
        "chart": _chart,
        "flower": _flower,
        "face": _face,
        "house": _house,
    }
)
