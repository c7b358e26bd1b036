"""A reader's own picture as a CIFAR image: 32 by 32 pixels, 3 colours.

The file is a stranger's: format and size are read from its head and checked before a pixel is
decoded, because a small file can claim a picture that fills the memory.
"""

import contextlib
import struct
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from cifar_lessons.data.picture_parts import require_few_parts
from cifar_lessons.errors import UserError

MAX_SIDE = 10_000  # pixels; a photograph from a telephone has some 4,000
MAX_BYTES = 2**28  # of a file; such a photograph has some 5 million
HEADS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # with which every PNG and JPEG begins
ORIENTATION = 0x0112  # how the camera was held, in a picture's EXIF block
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises over a damaged file, as mutated pictures have shown.
DAMAGED = (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error)


class NoPicture(UserError):
    """The bytes are of no format that is read here."""


class PictureTooLarge(UserError):
    """More pixels than are read here."""


def read_picture(path: Path | str) -> tuple[Tensor, str]:
    """Return a picture as the networks see it, and what was done to it.

    The longer side is cut to the shorter one, evenly from both ends, and the square is shrunk
    to 32 by 32 with Pillow's box-filtered bicubic; the rest as `open_picture` does.

    Args:
        path: A PNG or JPEG of any size and colour mode.

    Returns:
        Pixels (3, 32, 32) uint8, and a line such as `640 x 480, centre 480 x 480 shrunk to
        32 x 32`.

    Raises:
        UserError: No file, no image, or one that is too large; the message names the file.
    """
    return _as_cifar(open_picture(Path(path)))


def open_picture(path: Path) -> Image.Image:
    """Return a picture as it is meant to be seen, in 8-bit RGB and at its own size.

    Transparency is laid on white, 16 bits become 8, and a camera's rotation mark is obeyed.

    Args:
        path: A PNG or JPEG of any size and colour mode.

    Raises:
        UserError: No file, no image, or one that is too large; the message names the file.
    """
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise UserError(f"{path} is empty: give a PNG or JPEG")
            return _decoded(file, str(path), MAX_SIDE * MAX_SIDE)
    except FileNotFoundError:
        raise UserError(f"no file {path}: give the path of a PNG or JPEG") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read as an image ({error}): is it complete?") from None


def decode_picture(
    file: BinaryIO, name: str, *, most_pixels: int = MAX_SIDE * MAX_SIDE
) -> tuple[Tensor, str]:
    """Return a picture from an open file as the networks see it; see `read_picture`.

    Args:
        file: At the start of a PNG or JPEG.
        name: For messages.
        most_pixels: Width times height, checked before anything is decoded.

    Raises:
        NoPicture: Neither PNG nor JPEG.
        PictureTooLarge: Too many pixels, or more than `MAX_SIDE` a side.
        UserError: Damaged.
    """
    return _as_cifar(_decoded(file, name, most_pixels))


def _decoded(file: BinaryIO, name: str, most_pixels: int) -> Image.Image:
    """Return what an open file shows, in RGB."""
    start = file.tell()
    if not file.read(8).startswith(HEADS):  # a film would be read whole for nothing
        raise NoPicture(f"{name} is no PNG or JPEG: convert it first")
    file.seek(start)
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise PictureTooLarge(
            f"{name} has more than {MAX_BYTES // 2**20} megabytes, which is the most: shrink it"
        )
    require_few_parts(content, name)
    file.seek(start)
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures; the check of the side below is stricter.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=["PNG", "JPEG"]) as picture:
                width, height = picture.size
                if max(width, height) > MAX_SIDE:
                    raise PictureTooLarge(
                        f"{name} is {width} x {height} pixels, and {MAX_SIDE} a side is the "
                        "most: shrink it first"
                    )
                if width * height > most_pixels:
                    raise PictureTooLarge(
                        f"{name} is {width} x {height} pixels, and {most_pixels:,} in all are the "
                        "most: shrink it first"
                    )
                picture.load()  # here a damaged file is told
                return _to_rgb(_upright(picture))
    except Image.DecompressionBombError:  # its head claims more pixels than Pillow will open
        raise PictureTooLarge(
            f"{name} is far too large, and {MAX_SIDE} pixels a side is the most: shrink it first"
        ) from None
    except UnidentifiedImageError:
        raise NoPicture(f"{name} is no PNG or JPEG: convert it first") from None
    except DAMAGED as error:
        raise UserError(f"{name} cannot be read as an image ({error}): is it complete?") from None


def _upright(picture: Image.Image) -> Image.Image:
    """Return a picture as the camera was held; a mark that cannot be read turns nothing."""
    turn = None
    with contextlib.suppress(*DAMAGED):
        turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
    return picture if turn is None else picture.transpose(turn)


def _as_cifar(picture: Image.Image) -> tuple[Tensor, str]:
    """Return the centre of a picture, (3, 32, 32) uint8, and what was done to it."""
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    # Cut first: `resize(box=…)` would let what is cut off bleed into the edges.
    square = picture.crop((left, top, left + side, top + side))
    square = square.resize((32, 32), Image.Resampling.BICUBIC)
    done = f"{width} x {height}"
    if width != height:
        done += f", centre {side} x {side}"
    if side != 32:
        done += f" {'shrunk' if side > 32 else 'enlarged'} to 32 x 32"
    return torch.from_numpy(np.array(square)).permute(2, 0, 1), done


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Return an 8-bit RGB picture: 16 bits scaled down, transparency laid on white."""
    if picture.mode.startswith("I"):  # 16 bits of grey in a PNG, whatever they are read into
        # Pillow's own conversion cuts everything above 255 off.
        wide = np.asarray(picture, dtype=np.float32)
        picture = Image.fromarray((wide / 65535 * 255).clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        clear = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        white = Image.new("RGB", clear.size, "white")
        white.paste(clear, mask=clear)
        return white
    return picture.convert("RGB")
