"""Mirrors cifar_lessons/data/web.py."""

import socket
import ssl
import urllib.error

import pytest

from cifar_lessons.data import web
from cifar_lessons.data.official import SourceError
from cifar_lessons.data.web import Broken, RangeRefused

PATIENCE = 30.0  # seconds: a busy machine may keep a good answer waiting


def ask(url: str, *, timeout: float = PATIENCE, **headers: str) -> bytes:
    with web.ask(url, headers, timeout=timeout) as response:
        pieces = list(iter(lambda: web.read(response, 1_000), b""))
    return b"".join(pieces)


def test_sends_headers_and_gives_the_body(server):
    server.files["/x"] = b"0123456789"
    assert ask(f"{server.url}/x", Range="bytes=4-") == b"456789"
    assert server.log[0].range == "bytes=4-"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_an_overloaded_server_may_be_asked_again(server, status):
    server.plan({"status": status, "headers": {"Retry-After": "7"}})
    with pytest.raises(Broken, match=f"HTTP status {status} ") as caught:
        ask(f"{server.url}/x")
    assert caught.value.wait == 7.0


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451])
def test_a_refusal_is_final(server, status):
    server.plan({"status": status})
    with pytest.raises(SourceError, match=f"HTTP status {status} "):
        ask(f"{server.url}/x")


def test_an_odd_success_is_no_file(server):
    server.plan({"status": 204})
    with pytest.raises(SourceError, match="HTTP status 204, and not the file"):
        ask(f"{server.url}/x")


def test_a_log_in_page_is_no_file(server):
    server.files["/x"] = b"<html>Welcome to our hotel</html>"
    server.plan({"headers": {"Content-Type": "text/html; charset=utf-8"}})
    with pytest.raises(SourceError, match="sends a web page, not the file"):
        ask(f"{server.url}/x")


@pytest.mark.parametrize(("header", "size"), [("bytes */10", 10), ("rubbish", None)])
def test_a_refused_range_tells_the_length_where_it_is_given(server, header, size):
    server.plan({"status": 416, "headers": {"Content-Range": header}})
    with pytest.raises(RangeRefused) as caught:
        ask(f"{server.url}/x", Range="bytes=10-")
    assert caught.value.size == size


def test_a_redirect_keeps_the_range(server):
    server.files["/there"] = b"0123456789"
    server.plan({"status": 302, "headers": {"Location": "/there"}}, {})
    assert ask(f"{server.url}/here", Range="bytes=8-") == b"89"
    assert [r.path for r in server.log] == ["/here", "/there"]


def test_a_redirect_never_reaches_a_local_file(server, tmp_path):
    (tmp_path / "secret").write_text("secret")
    server.plan({"status": 302, "headers": {"Location": f"file://{tmp_path}/secret"}})
    with pytest.raises(SourceError, match="HTTP status 302"):
        ask(f"{server.url}/x")


def test_silence_and_a_closed_door_are_worth_another_try(server):
    server.files["/x"] = bytes(1_000)
    server.plan({"stall": 10})
    with pytest.raises(Broken, match="nothing arrived for too long"):
        ask(f"{server.url}/x", timeout=0.4)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and nobody listens
        with pytest.raises(Broken, match=r"the connection failed .*refused"):
            ask(f"http://127.0.0.1:{closed.getsockname()[1]}/x")


def test_a_url_that_cannot_be_sent_is_final(server):
    with pytest.raises(SourceError, match="not a URL that can be asked for"):
        ask(f"{server.url}/a b")


def test_an_untrusted_certificate_is_final():
    refusal = ssl.SSLCertVerificationError()
    refusal.verify_message = "self-signed certificate"
    error = web._failure(urllib.error.URLError(refusal))
    assert isinstance(error, SourceError)
    assert str(error) == "its certificate is not trusted (self-signed certificate)"


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), (None, None), ("-1", None), ("1e3", None), ("9" * 5_000, None), ("٣", None)],
)
def test_numbers_of_headers(text, number):
    assert web.number(text) == number
