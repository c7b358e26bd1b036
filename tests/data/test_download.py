"""Mirrors cifar_lessons/data/download.py."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cifar_lessons.data import download as module
from cifar_lessons.data.download import Download
from cifar_lessons.data.official import SourceError
from cifar_lessons.errors import UserError

FILE = np.random.default_rng(0).bytes(300_000)


@pytest.fixture
def part(tmp_path) -> Path:
    return tmp_path / "x.part"


@pytest.fixture
def get(server, part, quick) -> Callable[..., Download]:
    """Return `(size=…, …) -> Download` of FILE from the server, by default of known size."""
    server.files["/x"] = FILE

    def make(**options) -> Download:
        options = {"size": len(FILE), "limit": 500_000, "shown": False, "patience": quick} | options
        return Download(f"{server.url}/x", part, **options)

    return make


def test_a_good_server_is_asked_once(server, get, part):
    download = get()
    download.run()
    assert part.read_bytes() == FILE
    assert download.fresh
    assert [(r.range, r.sent) for r in server.log] == [(None, len(FILE))]


def test_what_is_whole_is_not_asked_for(server, get, part):
    part.write_bytes(FILE)
    get().run()
    assert server.log == []


def test_a_break_is_continued_and_no_byte_comes_twice(server, get, part):
    server.plan({"cut": 100_000}, {"cut": 50_000}, {})
    get().run()
    assert part.read_bytes() == FILE
    assert [r.range for r in server.log] == [None, "bytes=100000-", "bytes=150000-"]
    assert server.sent == len(FILE)


def test_another_process_continues_with_if_range(server, get, part):
    server.etags["/x"] = '"v1"'
    server.plan({"cut": 20_000})
    with pytest.raises(SourceError, match="at 80,000 bytes, after 4 tries in a row"):
        get().run()
    kept = part.stat().st_size
    before = server.sent
    assert kept == before == 80_000  # four tries, each of them continued
    server.plan({})
    again = get()
    again.run()
    assert (server.log[-1].range, server.log[-1].if_range) == (f"bytes={kept}-", '"v1"')
    assert server.sent - before == len(FILE) - kept
    assert part.read_bytes() == FILE
    assert not again.fresh


def test_silence_ends_a_try_and_the_next_continues(server, get, part, quick):
    server.plan({"stall": 200_000}, {})
    said = []
    get(say=said.append, patience=dataclasses.replace(quick, stall=0.4)).run()
    assert part.read_bytes() == FILE
    assert server.log[1].range == "bytes=200000-"
    assert said == [
        f"{server.url}/x: nothing arrived for too long at 200,000 bytes; trying again in 0 s"
    ]


def test_a_trickle_counts_as_silence(server, get, part, quick):
    server.plan({"trickle": True}, {})
    said = []
    get(say=said.append, patience=dataclasses.replace(quick, stall=0.4)).run()
    assert part.read_bytes() == FILE
    assert "only " in said[0]
    assert " bytes in 0 s at " in said[0]


@pytest.mark.parametrize("declare", [len(FILE) - 1, len(FILE) + 1, 10**12, 12])
def test_another_length_is_refused_before_a_byte_is_taken(server, get, part, declare):
    server.plan({"declare": declare})
    with pytest.raises(SourceError, match=f"offers {declare:,} bytes, expected 300,000: not this"):
        get().run()
    assert len(server.log) == 1
    assert not part.exists()


def test_the_right_length_over_a_short_body_is_a_break(server, get, part):
    server.plan({"declare": len(FILE), "cut": 299_999}, {})
    get().run()
    assert part.read_bytes() == FILE
    assert server.sent == len(FILE)


def test_more_than_the_declared_body_is_not_taken(server, get, part):
    server.files["/x"] = FILE + b"more"
    server.plan({"declare": len(FILE)})
    get().run()
    assert part.read_bytes() == FILE


def test_a_body_without_length_may_be_whole_or_break(server, get, part):
    server.plan({"chunked": True, "cut": 100_000}, {"chunked": True})
    get().run()
    assert part.read_bytes() == FILE
    assert server.sent == len(FILE)


def test_a_body_without_length_and_end_is_stopped_and_forgotten(server, get, part):
    server.files["/x"] = bytes(5_000_000)
    server.plan({"chunked": True})
    with pytest.raises(SourceError, match="sends more than 300,000 bytes: not this file"):
        get().run()
    assert not part.exists()
    assert len(server.log) == 1


def test_a_server_without_ranges_is_asked_for_all_of_it(server, get, part):
    server.plan({"cut": 100_000}, {"ranges": "ignored"})
    download = get()
    download.run()
    assert part.read_bytes() == FILE
    assert server.log[1].range == "bytes=100000-"
    assert server.sent == 100_000 + len(FILE)


@pytest.mark.parametrize("ranges", ["refused", "wrong"])
def test_a_server_whose_ranges_fail_is_asked_for_all_of_it(server, get, part, ranges):
    server.plan({"cut": 100_000}, {"ranges": ranges}, {"ranges": ranges})
    download = get()
    download.run()
    assert part.read_bytes() == FILE
    assert [r.range for r in server.log] == [None, "bytes=100000-", None]
    assert download.fresh


def test_what_is_here_is_kept_until_another_body_really_comes(server, get, part):
    part.write_bytes(FILE[:100_000])
    server.plan({"ranges": "refused"}, {"status": 404})
    with pytest.raises(SourceError, match="404"):
        get().run()
    server.plan({"headers": {"Content-Type": "text/html"}})
    with pytest.raises(SourceError, match="web page"):
        get().run()
    assert part.read_bytes() == FILE[:100_000]


def test_a_file_that_changed_in_between_begins_anew(server, get, part):
    server.etags["/x"] = '"v1"'
    server.plan({"cut": 100_000}, {})
    changed = FILE[::-1]

    def change(line: str) -> None:  # called between the two tries
        server.files["/x"], server.etags["/x"] = changed, '"v2"'

    download = get(say=change)
    download.run()
    assert (server.log[1].if_range, server.log[1].status) == ('"v1"', 200)
    assert part.read_bytes() == changed
    assert download.fresh


@pytest.mark.parametrize("etag", ['W/"v1"', None])
def test_a_weak_etag_is_no_proof_and_the_date_is(server, get, etag):
    if etag is not None:
        server.etags["/x"] = etag
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    server.plan({"cut": 100_000, "headers": {"Last-Modified": date}}, {})
    get().run()
    assert server.log[1].if_range == date


def test_bytes_of_another_server_are_continued_without_its_etag(server, get, part):
    part.write_bytes(FILE[:100_000])
    part.with_name("x.part.json").write_text('{"url": "http://other/x", "validator": "\\"v0\\""}')
    server.etags["/x"] = '"v1"'
    get().run()
    assert (server.log[0].range, server.log[0].if_range) == ("bytes=100000-", None)
    assert part.read_bytes() == FILE


@pytest.mark.parametrize("note", ["", "[]", '{"url": 1}', "\x00", '{"validator": {"a": "\\n"}}'])
def test_a_damaged_note_is_as_good_as_none(server, get, part, note):
    part.write_bytes(FILE[:100_000])
    part.with_name("x.part.json").write_text(note)
    get().run()
    assert server.log[0].if_range is None
    assert part.read_bytes() == FILE


class TestUnknownSize:
    """Only the server says how long the file is, and only its validator that it is the same."""

    def test_is_taken_to_the_end(self, get, part):
        get(size=None).run()
        assert part.read_bytes() == FILE

    @pytest.mark.parametrize("proof", [True, False])
    def test_is_continued_only_with_a_proof(self, server, get, part, proof):
        if proof:
            server.etags["/x"] = '"v1"'
        server.plan({"cut": 100_000}, {})
        get(size=None).run()
        assert part.read_bytes() == FILE
        assert server.log[1].range == ("bytes=100000-" if proof else None)

    def test_status_416_can_mean_that_nothing_is_missing(self, server, get, part):
        server.etags["/x"] = '"v1"'
        get(size=None).run()
        get(size=None).run()
        assert [(r.status, r.sent) for r in server.log] == [(200, len(FILE)), (416, 0)]
        assert part.read_bytes() == FILE

    def test_more_than_the_limit_is_refused_when_declared(self, server, get, part):
        with pytest.raises(SourceError, match="offers 300,000 bytes, more than the 200,000 taken"):
            get(size=None, limit=200_000).run()
        assert not part.exists()

    def test_more_than_the_limit_is_stopped_when_not(self, server, get, part):
        server.plan({"chunked": True})
        with pytest.raises(SourceError, match="sends more than 200,000 bytes"):
            get(size=None, limit=200_000).run()
        assert not part.exists()


def test_tries_end_and_what_arrived_stays(server, get, part, quick):
    server.plan({"cut": 100_000}, {"status": 503})
    with pytest.raises(
        SourceError,
        match=r"HTTP status 503 \(Service Unavailable\) at 100,000 bytes, after 4 tries",
    ):
        get(patience=dataclasses.replace(quick, progress=100_001)).run()
    assert len(server.log) == 4
    assert part.read_bytes() == FILE[:100_000]


def test_progress_earns_new_tries(server, get, part):
    server.plan({"cut": 0}, {"cut": 0}, {"cut": 100_000}, {"cut": 0}, {"cut": 0}, {})
    get().run()  # five breaks, and four tries in a row
    assert part.read_bytes() == FILE


def test_waits_double_and_a_server_may_ask_for_more(server, get, monkeypatch):
    waits = []
    monkeypatch.setattr(module.time, "sleep", waits.append)
    busy = {"status": 503}
    server.plan(busy, busy, busy | {"headers": {"Retry-After": "9"}}, busy, busy, {})
    get(patience=module.Patience(tries=6, first_wait=1, longest_wait=10)).run()
    assert waits == [1, 2, 9, 8, 10]


def test_ctrl_c_leaves_what_arrived(server, get, part, monkeypatch):
    server.plan({"stall": 200_000})
    read = module.web.read

    def interrupted(response, most: int) -> bytes:
        if part.exists() and part.stat().st_size >= 65_536:
            raise KeyboardInterrupt
        return read(response, most)

    with monkeypatch.context() as patch:
        patch.setattr(module.web, "read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            get().run()
    kept = part.read_bytes()
    assert len(kept) >= 65_536
    assert kept == FILE[: len(kept)]
    server.plan({})
    get().run()
    assert server.log[-1].range == f"bytes={len(kept)}-"
    assert part.read_bytes() == FILE


def test_a_full_disk_is_one_line(get, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(UserError, match=r"the disk is full: cannot write .*x\.part; free some"):
        get().run()


def test_a_folder_that_is_none_is_one_line(server, tmp_path):
    (tmp_path / "file").write_text("")
    server.files["/x"] = FILE
    with pytest.raises(UserError, match=r"cannot write .*x\.part: Not a directory"):
        Download(f"{server.url}/x", tmp_path / "file" / "x.part", size=len(FILE)).run()
