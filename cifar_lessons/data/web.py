"""Asking a web server for a file, with every way to fail sorted in two: for now, or for good."""

import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from cifar_lessons.data.official import SourceError


class Broken(Exception):
    """This try failed and another may not; `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        """Keep the reason, a phrase that names what happened."""
        super().__init__(reason)
        self.wait = wait


class RangeRefused(Exception):
    """Status 416; `size` is the length of the whole file, where the server gave it."""

    def __init__(self, size: int | None) -> None:
        """Keep the size."""
        super().__init__("HTTP status 416 (the rest of the file was refused)")
        self.size = size


def ask(url: str, headers: Mapping[str, str], *, timeout: float) -> Any:
    """Return the open response, an `http.client.HTTPResponse` of status 200 or 206.

    Args:
        url: http or https; redirects are followed, to http and https alone.
        headers: Sent along.
        timeout: Seconds of silence after which the connection counts as broken.

    Raises:
        Broken: Another try may help.
        RangeRefused: The server answered 416.
        SourceError: Another try won't help.
    """
    try:
        response = _opener().open(
            urllib.request.Request(url, headers=dict(headers)), timeout=timeout
        )
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:
                found = re.fullmatch(r"bytes \*/(\d{1,15})", error.headers.get("Content-Range", ""))
                raise RangeRefused(int(found[1]) if found else None) from error
            text = f"HTTP status {error.code} ({http.client.responses.get(error.code, 'unknown')})"
            if error.code in (408, 425, 429) or error.code >= 500:
                wait = number(error.headers.get("Retry-After")) or 0
                raise Broken(text, wait=float(wait)) from error
            raise SourceError(text) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _failure(error) from error
    if response.status not in (200, 206):
        response.close()
        raise SourceError(f"HTTP status {response.status}, and not the file")
    if response.headers.get_content_type() == "text/html":  # of a hotel's log-in, or an error
        response.close()
        raise SourceError("sends a web page, not the file")
    return response


def read(response: Any, most: int) -> bytes:
    """Return the next bytes as soon as some are there, at most `most`; empty at the end.

    Raises:
        Broken: The connection failed, or was silent for longer than its timeout.
    """
    try:
        return bytes(response.read1(most))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _failure(error) from error


def number(text: str | None) -> int | None:
    """Return a header's number, or None where it is absent or is none."""
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,15}", text) else None


def _failure(error: Exception) -> Exception:
    """Return a failed connection as `Broken` or `SourceError`."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return SourceError(f"its certificate is not trusted ({cause.verify_message})")
    if isinstance(cause, (http.client.InvalidURL, UnicodeError)):
        return SourceError(f"not a URL that can be asked for ({cause})")
    if isinstance(cause, TimeoutError):
        return Broken("nothing arrived for too long")
    text = " ".join(str(cause).split()) or type(cause).__name__
    return Broken(f"the connection failed ({text})")


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https alone: a redirect must not lead to a local file."""
    opener = urllib.request.OpenerDirector()
    opener.addheaders = [("User-Agent", "cifar-lessons")]
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener
