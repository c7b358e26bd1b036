"""Mirrors cifar_lessons/data/picture.py: any picture becomes 32 x 32 RGB, or is refused."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cifar_lessons.data import picture
from cifar_lessons.data.picture import MAX_SIDE, read_picture
from cifar_lessons.errors import UserError

RED = (200, 30, 40)


def saved(path: Path, picture: Image.Image, **options) -> Path:
    picture.save(path, **options)
    return path


def plain(pixels: torch.Tensor) -> np.ndarray:
    """The mean colour of a picture of one colour."""
    assert pixels.shape == (3, 32, 32)
    assert pixels.dtype is torch.uint8
    return pixels.flatten(1).double().mean(1).numpy()


# --- every mode -------------------------------------------------------------------------------


def deep_grey(value: int) -> Image.Image:
    return Image.fromarray(np.full((40, 40), value, np.uint16))


MODES = {
    "rgb.png": (Image.new("RGB", (40, 40), RED), RED),
    "rgb.jpg": (Image.new("RGB", (40, 40), RED), RED),
    "grey.png": (Image.new("L", (40, 40), 77), (77, 77, 77)),
    "grey.jpg": (Image.new("L", (40, 40), 77), (77, 77, 77)),
    "bits.png": (Image.new("1", (40, 40), 1), (255, 255, 255)),
    "opaque.png": (Image.new("RGBA", (40, 40), (*RED, 255)), RED),
    "clear.png": (Image.new("RGBA", (40, 40), (*RED, 0)), (255, 255, 255)),
    "half.png": (Image.new("RGBA", (40, 40), (0, 0, 0, 128)), (127, 127, 127)),
    "grey with alpha.png": (Image.new("LA", (40, 40), (0, 128)), (127, 127, 127)),
    "palette.png": (Image.new("RGB", (40, 40), RED).quantize(4), RED),
    "cmyk.jpg": (Image.new("CMYK", (40, 40), (0, 255, 255, 0)), (255, 0, 0)),
    "16 bits.png": (deep_grey(257 * 100), (100, 100, 100)),
    "16 bits dark.png": (deep_grey(200), (1, 1, 1)),
    "16 bits light.png": (deep_grey(65_535), (255, 255, 255)),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_rgb(tmp_path, name):
    picture, colour = MODES[name]
    pixels, done = read_picture(saved(tmp_path / name, picture))
    assert plain(pixels) == pytest.approx(colour, abs=3)
    assert done == "40 x 40 shrunk to 32 x 32"


def test_a_palette_s_clear_colour_is_laid_on_white(tmp_path):
    picture = Image.new("P", (32, 32), 0)
    picture.putpalette([*RED, 0, 0, 0])
    pixels, _ = read_picture(saved(tmp_path / "a.png", picture, transparency=0))
    assert plain(pixels).tolist() == [255, 255, 255]


# --- size and place ---------------------------------------------------------------------------


def test_32_by_32_is_left_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    found, done = read_picture(saved(tmp_path / "a.png", Image.fromarray(pixels)))
    np.testing.assert_array_equal(found.permute(1, 2, 0).numpy(), pixels)
    assert done == "32 x 32"


@pytest.mark.parametrize("tall", [False, True])
def test_the_centre_is_cut_out(tmp_path, tall):
    """A red square between two blue ends: nothing of them is left."""
    picture = Image.new("RGB", (100, 60), "blue")
    picture.paste(RED, (20, 0, 80, 60))
    if tall:
        picture = picture.rotate(90, expand=True)
    pixels, done = read_picture(saved(tmp_path / "a.png", picture))
    assert plain(pixels) == pytest.approx(RED, abs=1)
    size = "60 x 100" if tall else "100 x 60"
    assert done == f"{size}, centre 60 x 60 shrunk to 32 x 32"


def test_a_small_picture_is_enlarged(tmp_path):
    pixels, done = read_picture(saved(tmp_path / "a.png", Image.new("RGB", (1, 5), RED)))
    assert plain(pixels).tolist() == list(RED)
    assert done == "1 x 5, centre 1 x 1 enlarged to 32 x 32"


def test_a_camera_s_rotation_mark_is_obeyed(tmp_path):
    picture = Image.new("RGB", (64, 64), "black")
    picture.paste("white", (0, 0, 64, 32))  # light above
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: light on the right
    pixels, _ = read_picture(saved(tmp_path / "a.jpg", picture, exif=exif, quality=95))
    assert pixels[:, :, :10].max() < 40
    assert pixels[:, :, 22:].min() > 215


def test_a_damaged_mark_costs_no_picture(tmp_path, monkeypatch):
    def damaged(_):
        raise struct.error("required argument is not an integer")

    path = saved(tmp_path / "a.png", Image.new("RGB", (32, 32), "red"))
    monkeypatch.setattr(Image.Image, "getexif", damaged)
    pixels, _ = read_picture(path)
    assert pixels[:, 0, 0].tolist() == [255, 0, 0]


# --- what is no picture -----------------------------------------------------------------------


def png_head(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing: 60 bytes that could fill the memory."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def gif() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "GIF")
    return buffer.getvalue()


WRONG = {
    "text.png": (b"this is text", "is no PNG or JPEG: convert it first"),
    "other.png": (gif(), "is no PNG or JPEG: convert it first"),
    "empty.jpg": (b"", "is empty: give a PNG or JPEG"),
    "wide.png": (png_head(30_000, 20), "is 30000 x 20 pixels, and 10000 a side is the most"),
    "large.png": (png_head(30_000, 20_000), "is far too large, and 10000 pixels a side is the"),
    "huge.png": (png_head(2**31 - 1, 2**31 - 1), "is far too large, and 10000 pixels a side"),
    "hollow.png": (png_head(100, 100), "cannot be read as an image ("),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_picture_is_told(tmp_path, name):
    content, said = WRONG[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_picture(path)
    assert str(error.value).startswith(f"{path} ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_cut_short_is_told(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    for name in ("a.png", "a.jpg"):
        path = saved(tmp_path / name, Image.fromarray(pixels))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(UserError, match=r"cannot be read as an image .*: is it complete\?"):
            read_picture(path)


def test_a_file_that_is_not_there_or_is_a_folder_is_told(tmp_path):
    with pytest.raises(UserError, match=r"no file .*a.png: give the path of a PNG or JPEG"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(UserError, match="cannot be read as an image"):
        read_picture(tmp_path)


def test_the_largest_side_is_still_taken(tmp_path):
    pixels, _ = read_picture(saved(tmp_path / "a.png", Image.new("L", (MAX_SIDE, 1), 9)))
    assert plain(pixels).tolist() == [9, 9, 9]


def test_a_film_is_refused_by_its_head(tmp_path, monkeypatch):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(1_000))
    monkeypatch.setattr(picture, "require_few_parts", lambda *_: pytest.fail("it was read whole"))
    with pytest.raises(picture.NoPicture, match=r"film\.mp4 is no PNG or JPEG: convert it first"):
        picture.read_picture(film)


def test_a_file_far_larger_than_any_picture_is_refused(tmp_path, monkeypatch):
    Image.new("RGB", (40, 40)).save(tmp_path / "p.png")
    size = (tmp_path / "p.png").stat().st_size
    monkeypatch.setattr(picture, "MAX_BYTES", size - 1)
    with pytest.raises(picture.PictureTooLarge, match=r"p\.png has more than"):
        picture.read_picture(tmp_path / "p.png")
    monkeypatch.setattr(picture, "MAX_BYTES", size)
    picture.read_picture(tmp_path / "p.png")
