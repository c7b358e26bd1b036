"""From a request to pixels, with a limit on everything: bytes, pixels, time.

Whoever sends what cannot be used is told so with a 4xx: 400 for a request that makes no sense, 408
too slow, 413 too large, 415 another format, 422 a damaged picture.
"""

import asyncio
import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from cifar_lessons.data.picture import NoPicture, PictureTooLarge, decode_picture
from cifar_lessons.errors import UserError

NAME = "the upload"  # in messages


@dataclass(frozen=True)
class Limits:
    """What is let in.

    Attributes:
        most_bytes: Of a request's body.
        most_pixels: Of a picture, width times height.
        seconds: That an upload may take, and then an answer.
    """

    most_bytes: int = 10_000_000
    most_pixels: int = 25_000_000
    seconds: float = 10.0


class Refused(Exception):
    """A request that cannot be answered, with the status that says why."""

    def __init__(self, status: int, why: str) -> None:
        """Remember both."""
        super().__init__(why)
        self.status = status


async def read_upload(request: Request, limits: Limits) -> bytes:
    """Return the bytes of the picture in a request: its body, or the one file of a form.

    Raises:
        Refused: Too large, too slow, empty, or no form that can be read.
    """
    try:
        async with asyncio.timeout(limits.seconds):
            body = await _body(request, limits.most_bytes)
    except TimeoutError:
        raise Refused(408, f"the upload took more than {limits.seconds:g} s") from None
    except ClientDisconnect:
        raise Refused(400, "the connection closed before the upload ended") from None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        body = await _file_of_form(request, body)
    if not body:
        raise Refused(400, f"{NAME} is empty: send the bytes of a PNG or JPEG")
    return body


async def _body(request: Request, most: int) -> bytes:
    """Return the body, read no further than the limit."""
    too_large = Refused(413, f"{NAME} is larger than {most:,} bytes: shrink the picture first")
    declared = request.headers.get("content-length", "")
    # What is no number was refused by the HTTP parser.
    if declared.isdecimal() and int(declared) > most:
        raise too_large
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > most:
            raise too_large
    return bytes(found)


async def _file_of_form(request: Request, body: bytes) -> bytes:
    """Return the content of the only file of a form."""
    if not body.rstrip(b"\r\n").endswith(b"--"):  # which ends the last part
        raise Refused(400, "the form is cut short: send one file")

    async def again() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        form = await Request(request.scope, again).form(max_files=1, max_fields=10)
    except (HTTPException, MultiPartException) as error:
        why = getattr(error, "detail", None) or getattr(error, "message", "")
        raise Refused(400, f"the form cannot be read ({why}): send one file") from None
    except (KeyError, ValueError, UnicodeDecodeError) as error:
        raise Refused(400, f"the form cannot be read ({error}): send one file") from None
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise Refused(400, "the form holds no file: send a PNG or JPEG as one")
        return await files[0].read()
    finally:
        await form.close()


def to_pixels(body: bytes, limits: Limits) -> tuple[npt.NDArray[np.uint8], str]:
    """Return a picture (32, 32, 3) uint8, and what was done to it.

    Raises:
        Refused: No picture, a damaged one, or too many pixels.
    """
    try:
        picture, done = decode_picture(io.BytesIO(body), NAME, most_pixels=limits.most_pixels)
    except NoPicture as error:
        raise Refused(415, str(error)) from None
    except PictureTooLarge as error:
        raise Refused(413, str(error)) from None
    except UserError as error:
        raise Refused(422, str(error)) from None
    return np.ascontiguousarray(picture.permute(1, 2, 0).numpy()), done
