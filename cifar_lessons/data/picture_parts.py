"""How many parts the file of a picture has: scans and segments of a JPEG, chunks of a PNG.

A decoder takes time for each part, however few pixels there are. A progressive JPEG paints all its
pixels again in each scan, and a scan of 42 bytes can cost as much as one of a megabyte; so a file
that is small in bytes and in pixels can keep a processor busy for hours. Cameras and programs write
some ten scans, and chunks by the thousand at most.
"""

import re

from cifar_lessons.errors import UserError

MOST_SCANS = 100
MOST_SEGMENTS = 2_000  # of a JPEG
MOST_CHUNKS = 50_000  # of a PNG; one of a camera's size, in chunks of 8 kB, has 10,000
MOST_FILLING = 64  # bytes 0xFF before a marker, which decoders skip one by one
# In the pixels' code a 0xFF is followed by 0, or by one of eight marks that only restart it.
# One 0xFF alone is looked for: `\xff+` would take quadratic time on a long run without a marker.
MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
TOO_MUCH = b"\xff" * (MOST_FILLING + 1)
ALONE = (0x01, 0xD8)  # markers without a length behind them
SCAN, END = 0xDA, 0xD9
PNG = b"\x89PNG\r\n\x1a\n"


def require_few_parts(content: bytes, name: str) -> None:
    """Raise a `UserError` for a file of far more parts than a picture needs.

    Args:
        content: Of a PNG or JPEG; others pass.
        name: For the message.
    """
    if content.startswith(b"\xff\xd8"):
        few = _is_plain_jpeg(content)
    elif content.startswith(PNG):
        few = _is_plain_png(content)
    else:
        return
    if not few:
        raise UserError(
            f"{name} has far more parts than a picture needs, and would take too long to decode: "
            "save it again with an image program"
        )


def _is_plain_jpeg(content: bytes) -> bool:
    at = 2
    scans = segments = 0
    while (found := MARKER.search(content, at)) and (kind := found[1][0]) != END:
        segments += 1
        scans += kind == SCAN
        filled = content.endswith(TOO_MUCH, at, found.start() + 1)
        if scans > MOST_SCANS or segments > MOST_SEGMENTS or filled:
            return False
        at = found.end()
        if kind not in ALONE:
            at += max(2, int.from_bytes(content[at : at + 2], "big"))
    return True


def _is_plain_png(content: bytes) -> bool:
    at = len(PNG)
    for _ in range(MOST_CHUNKS):
        if at >= len(content) or content[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(content[at : at + 4], "big")  # length, type, sum
    return False
