"""Mirrors cifar_lessons/data/picture_parts.py: small files that take long to decode."""

import io

import numpy as np
import pytest
from PIL import Image

from cifar_lessons.data.picture_parts import PNG, require_few_parts
from cifar_lessons.errors import UserError


def saved(kind: str, side: int = 200, **options) -> bytes:
    """A picture of noise, whose code holds many bytes 0xFF."""
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        saved("JPEG", quality=95),
        saved("JPEG", progressive=True),
        saved("JPEG", progressive=True, exif=b"Exif\0\0" + bytes(5_000)),
        saved("PNG", side=1_000),
        saved("GIF"),
        b"",
    ],
    ids=["jpeg", "progressive", "long EXIF", "png", "another format", "nothing"],
)
def test_what_programs_write_passes(content):
    require_few_parts(content, "x")


def scans(number: int) -> bytes:
    """A progressive JPEG whose last scan stands there again and again."""
    content = saved("JPEG", side=16, progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * number + b"\xff\xd9"


BOMBS = {
    "scans": scans(120),
    "segments": b"\xff\xd8" + b"\xff\xe5\0\2" * 3_000,
    "filling": b"\xff\xd8" + b"\xff" * 1_000 + b"\xe5\0\2",
    "chunks": PNG + b"\0\0\0\0tEXt\0\0\0\0" * 60_000,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("end", [b"", b"\0", b"\xd0"], ids=["the end", "0", "restart"])
def test_a_long_run_without_a_marker_takes_no_long_time(end):
    """Quadratic time would be an hour for this megabyte."""
    require_few_parts(b"\xff\xd8" + b"\xff" * 1_000_000 + end, "x")


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_of_far_too_many_parts_is_refused(name):
    with pytest.raises(UserError, match=r"x has far more parts than a picture needs"):
        require_few_parts(BOMBS[name], "x")


def test_the_parts_behind_the_end_do_not_count():
    """Telephones put a film behind the picture, in which any two bytes come up."""
    require_few_parts(saved("JPEG") + b"\xff\xda\0\2" * 1_000, "x")
