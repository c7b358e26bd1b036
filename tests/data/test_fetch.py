"""Mirrors cifar_lessons/data/fetch.py."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cifar_lessons
from cifar_lessons.data import fetch as module
from cifar_lessons.data.cifar import data_root
from cifar_lessons.data.fetch import archive_status, fetch, fetch_archive, status
from cifar_lessons.data.official import faults, unpack
from cifar_lessons.data.unordered import write
from cifar_lessons.errors import UserError

REPOSITORY = Path(cifar_lessons.__file__).parents[1]


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def get(made_up, root, quick) -> Callable[..., Path]:
    """Return `(*mirrors, …)`: fetches the made-up archive into `root`."""

    def run(*mirrors: str, archive=made_up.archive, **options) -> Path:
        options = {"patience": quick, "mirrors": mirrors} | options
        return fetch_archive(archive, root, **options)

    return run


@pytest.fixture
def official_server(server, made_up):
    """Return the made-up archive, published on the server."""
    server.files["/official.tar.gz"] = made_up.raw
    return dataclasses.replace(made_up.archive, url=f"{server.url}/official.tar.gz")


def test_gets_the_official_archive(get, official_server, made_up, root, capsys):
    assert get(archive=official_server) == root / "cifar-10-batches-py"
    assert faults(made_up.archive, root) == []
    assert not made_up.exploded.exists()  # nothing was unpickled
    first, *_, last = capsys.readouterr().err.splitlines()
    assert "40-57 minutes" in first
    assert last == f"cifar10 is in {root}/cifar-10-batches-py, verified"


def test_what_is_there_is_left_alone(get, official_server, root, server, capsys, monkeypatch):
    get(archive=official_server)
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    capsys.readouterr()
    monkeypatch.setattr(Path, "mkdir", lambda *a, **k: pytest.fail("wrote"))
    monkeypatch.setattr(Path, "touch", lambda *a, **k: pytest.fail("wrote"))
    get("http://127.0.0.1:9/unused", archive=official_server)
    assert len(server.log) == 1
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
    assert capsys.readouterr().err == ""


def test_a_damaged_file_is_mended_from_the_kept_archive(get, official_server, root, server):
    folder = get(archive=official_server)
    (folder / "test_batch").write_bytes(b"damaged")
    assert get(archive=official_server) == folder
    assert faults(official_server, root) == []
    assert len(server.log) == 1


def test_sources_are_tried_in_order_until_one_serves(get, official_server, made_up, server, capsys):
    wrong = bytearray(made_up.raw)
    wrong[5_000] ^= 1
    server.files |= {"/wrong": bytes(wrong), "/long": made_up.raw + b"x"}
    mirrors = [f"{server.url}{path}" for path in ("/absent", "/long", "/wrong", "/../right")]
    server.files["/../right"] = made_up.raw
    get(*mirrors, archive=official_server)
    assert [r.path for r in server.log] == ["/absent", "/long", "/wrong", "/../right"]
    said = capsys.readouterr().err
    for line in (
        f"{mirrors[0]}: HTTP status 404 (Not Found)",
        f"{mirrors[1]}: offers {len(made_up.raw) + 1:,} bytes, expected {len(made_up.raw):,}",
        f"{mirrors[2]}: md5 ",
    ):
        assert line in said
    assert "official" not in [Path(r.path).stem for r in server.log]


def test_another_source_continues_what_one_began(get, official_server, made_up, server):
    server.files["/mirror"] = made_up.raw
    server.plan({"cut": 100_000}, *[{"status": 503}] * 3, {})
    get(f"{server.url}/mirror", archive=official_server)
    assert (server.log[-1].path, server.log[-1].range) == ("/official.tar.gz", "bytes=100000-")
    assert server.sent == len(made_up.raw)


def test_when_no_source_serves_one_line_says_all(get, made_up, server, tmp_path, root):
    archive = dataclasses.replace(made_up.archive, url=f"{server.url}/gone.tar.gz")
    wrong = bytearray(made_up.raw)
    wrong[5_000] ^= 1
    server.files["/wrong"] = bytes(wrong)
    with pytest.raises(UserError) as caught:
        get(str(tmp_path / "nowhere"), f"{server.url}/wrong", archive=archive)
    message = str(caught.value)
    assert "\n" not in message
    for words in (
        "no source gave cifar10",
        f"{tmp_path / 'nowhere'}: no such file or folder",
        f"{server.url}/wrong: md5 ",
        f"expected {made_up.archive.md5}",
        "gone.tar.gz: HTTP status 404 (Not Found)",
        f"`cifar-lessons data --dataset cifar10 --data {root} --mirror URL`",
        f"put cifar-10-python.tar.gz (md5 {made_up.archive.md5}) into {root}",
    ):
        assert words in message
    assert not made_up.exploded.exists()
    assert os.listdir(root) == [".cifar10.lock"]


def test_a_mistyped_mirror_is_said_before_anything_is_asked_for(get, server, root):
    with pytest.raises(UserError, match="'s3://x/y' starts with s3://"):
        get(f"{server.url}/first", "s3://x/y")
    assert server.log == []
    assert not root.exists()


def test_quiet_is_quiet(get, official_server, capsys):
    get("/nowhere", archive=official_server, progress=False)
    assert capsys.readouterr().err == ""


def test_png_files_are_enough_unless_the_official_order_is_asked_for(
    get, official_server, made_up, png_folder, root, server
):
    pngs = str(png_folder(made_up.splits))
    assert get(pngs, archive=official_server) == root / "cifar-10-unordered"
    assert get(archive=official_server) == root / "cifar-10-unordered"  # there already
    assert server.log == []
    folder = get(pngs, archive=official_server, official_order=True)
    assert folder == root / "cifar-10-batches-py"
    assert get(archive=official_server) == folder  # and from now on it is the one


def test_a_damaged_unordered_copy_is_made_anew(get, made_up, png_folder, root, capsys):
    pngs = str(png_folder(made_up.splits))
    folder = get(pngs)
    (folder / "train.npz").write_bytes(b"damaged")
    assert get(pngs) == folder
    assert "train.npz cannot be read" in capsys.readouterr().err
    assert archive_status(made_up.archive, root).startswith("unordered")


def test_a_folder_that_cannot_be_written_is_one_line(get, root):
    root.write_text("a file")
    with pytest.raises(UserError, match=rf"cannot write {root}: .*; mend that, or choose"):
        get()


def test_a_lock_that_cannot_be_made_is_one_line(get, root, monkeypatch):
    def refused(path: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(UserError, match=rf"cannot write {root}/\.cifar10\.lock: Permission denied"):
        get()


CHILD = """
import json, sys
from pathlib import Path
from cifar_lessons.data.fetch import fetch_archive
from cifar_lessons.data.official import Archive

print(fetch_archive(Archive(**json.loads(sys.argv[1])), Path(sys.argv[2])))
"""


def start(archive, root: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(dataclasses.asdict(archive)), str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def test_two_processes_at_once_make_one_download(official_server, server, root):
    server.plan({"hold": True}, {})
    first, second = start(official_server, root), start(official_server, root)
    with first, second:
        while not server.log:  # until one of them downloads, and cannot end
            server.go.wait(0.01)
            assert first.poll() is None, first.stderr.read()
            assert second.poll() is None, second.stderr.read()
        heard = {process: process.stderr.readline() for process in (first, second)}
        waiting = [line for line in heard.values() if "another process" in line]
        assert waiting == ["another process is getting cifar10; waiting for it\n"]
        server.go.set()
        ended = {process: process.communicate(timeout=60) for process in (first, second)}
    assert [out.strip() for out, _ in ended.values()] == [str(root / "cifar-10-batches-py")] * 2
    waiter = next(process for process, line in heard.items() if "another process" in line)
    assert ended[waiter][1] == ""  # it found the work done, and did nothing
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(server.log) == 1
    assert faults(official_server, root) == []


def test_a_process_that_is_killed_leaves_what_the_next_one_continues(
    official_server, made_up, server, root, get
):
    server.plan({"stall": 100_000}, {})
    with start(official_server, root) as process:
        part = root / "cifar-10-python.tar.gz.part"
        while not (part.exists() and part.stat().st_size >= 65_536):
            server.go.wait(0.01)
            assert process.poll() is None, process.stderr.read()
        process.kill()
        process.communicate()
    kept = part.stat().st_size
    assert archive_status(official_server, root).startswith("partial download, 0.1 MB of 0.2 MB")
    get(archive=official_server)
    assert server.log[-1].range == f"bytes={kept}-"
    assert server.log[-1].sent == len(made_up.raw) - kept
    assert sorted(os.listdir(root)) == [
        ".cifar10.lock",
        "cifar-10-batches-py",
        "cifar-10-python.tar.gz",
    ]


class TestStatus:
    def test_absent(self, made_up, root):
        assert archive_status(made_up.archive, root) == "absent"

    def test_partial(self, made_up, root):
        root.mkdir()
        (root / "cifar-10-python.tar.gz.part").write_bytes(bytes(34_000_000))
        archive = dataclasses.replace(made_up.archive, size=170_498_071)
        assert archive_status(archive, root) == "partial download, 34 MB of 170 MB"

    def test_partial_parquet(self, made_up, root):
        root.mkdir()
        for split, size in (("test", 24_000_000), ("train", 10_000_000)):
            (root / f"cifar10-{split}.parquet.part").write_bytes(bytes(size))
        words = "partial download, 34 MB of parquet files"
        assert archive_status(made_up.archive, root) == words

    def test_complete_damaged_and_incomplete(self, made_up, root, tmp_path):
        (tmp_path / "a").write_bytes(made_up.raw)
        root.mkdir()
        folder = unpack(made_up.archive, tmp_path / "a", root)
        assert archive_status(made_up.archive, root) == "complete, official order"
        (folder / "test_batch").unlink()
        assert archive_status(made_up.archive, root) == "damaged: test_batch is missing"
        (folder / "test_batch").write_bytes(b"other")
        assert archive_status(made_up.archive, root).startswith("damaged: test_batch has md5 795f")

    def test_unordered_and_damaged(self, made_up, root):
        folder = write(made_up.archive, root, made_up.splits)
        assert archive_status(made_up.archive, root).startswith("unordered: the right images in an")
        (folder / "test.npz").unlink()
        assert archive_status(made_up.archive, root) == f"damaged: {folder}/test.npz is missing"


class TestPublic:
    """`fetch` and `status` look up the archive; the rest is tested above."""

    @pytest.fixture(autouse=True)
    def _made_up_is_official(self, official_server, monkeypatch):
        monkeypatch.setattr(module, "official", {"cifar10": official_server}.__getitem__)

    def test_mirrors_of_the_environment_come_after_those_given(
        self, server, made_up, root, monkeypatch
    ):
        a, b, c = (f"{server.url}/{x}" for x in "abc")
        server.files["/c"] = made_up.raw
        monkeypatch.setenv("CIFAR_LESSONS_MIRRORS", f" {b}, {c} ")
        fetch("cifar10", root, mirrors=[a], progress=False)
        assert [r.path for r in server.log] == ["/a", "/b", "/c"]
        assert status("cifar10", root) == "complete, official order"

    def test_the_official_server_is_the_last_resort(self, server, root):
        assert fetch("cifar10", root, progress=False) == root / "cifar-10-batches-py"
        assert [r.path for r in server.log] == ["/official.tar.gz"]


def test_an_unknown_name_gets_the_nearest_ones(root):
    with pytest.raises(ValueError, match="no data set 'cifar1000': did you mean 'cifar100'"):
        fetch("cifar1000", root)


def test_the_real_cifar10_is_recognised():
    root = data_root()
    if not (root / "cifar-10-batches-py" / "test_batch").exists():
        pytest.skip(f"no CIFAR-10 in {root}: `make data` fetches it")
    assert status("cifar10", root) == "complete, official order"
    assert fetch("cifar10", root, mirrors=["/nowhere"]) == root / "cifar-10-batches-py"
