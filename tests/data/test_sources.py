"""Mirrors cifar_lessons/data/sources.py."""

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cifar_lessons.data.official import SourceError, faults
from cifar_lessons.data.sources import Sources
from cifar_lessons.data.unordered import read
from cifar_lessons.errors import UserError


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def sources(made_up, root, quick, said) -> Callable[..., Sources]:
    def make(**options) -> Sources:
        return Sources(
            **{"archive": made_up.archive, "root": root, "say": said.append, "shown": False}
            | {"patience": quick}
            | options
        )

    return make


@pytest.fixture
def parquet_bytes(made_up, parquet) -> dict[str, bytes]:
    return {split: parquet(*arrays) for split, arrays in made_up.splits.items()}


def serve_parquet(server, files: dict[str, bytes], folder: str) -> None:
    for split, raw in files.items():
        server.files[f"{folder}{split}-00000-of-00001.parquet"] = raw


class TestArchive:
    def test_from_a_url(self, server, sources, made_up, root):
        server.files["/a.tgz"] = made_up.raw
        assert sources().named(f"{server.url}/a.tgz")() == root / "cifar-10-batches-py"
        assert faults(made_up.archive, root) == []
        assert sorted(os.listdir(root)) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]
        assert not made_up.exploded.exists()

    @pytest.mark.parametrize("form", ["path", "url", "folder", "home"])
    def test_from_the_disk_without_a_copy(
        self, sources, made_up, root, tmp_path, monkeypatch, form
    ):
        monkeypatch.setenv("HOME", str(tmp_path))
        path = tmp_path / "disk" / "cifar-10-python.tar.gz"
        path.parent.mkdir()
        path.write_bytes(made_up.raw)
        mirror = {
            "path": str(path),
            "url": path.as_uri(),
            "folder": str(path.parent),
            "home": "~/disk/cifar-10-python.tar.gz",
        }[form]
        sources().named(mirror)()
        assert faults(made_up.archive, root) == []
        assert os.listdir(root) == ["cifar-10-batches-py"]

    def test_a_wrong_one_is_removed_and_never_opened(self, server, sources, made_up, root):
        wrong = bytearray(made_up.raw)
        wrong[1_000] ^= 1
        server.files["/a.tgz"] = bytes(wrong)
        with pytest.raises(SourceError, match=rf"md5 \w+, expected {made_up.archive.md5}"):
            sources().from_url(f"{server.url}/a.tgz")
        assert os.listdir(root) == []
        assert len(server.log) == 1  # all of it came from here: asking again gives the same
        assert not made_up.exploded.exists()

    def test_a_wrong_beginning_from_elsewhere_costs_one_more_download(
        self, server, sources, made_up, root, said
    ):
        sources().part.write_bytes(bytes(50_000))
        server.files["/a.tgz"] = made_up.raw
        sources().from_url(f"{server.url}/a.tgz")
        assert [r.range for r in server.log] == ["bytes=50000-", None]
        assert "part of it was here before, so beginning anew" in said[0]
        assert faults(made_up.archive, root) == []

    def test_an_archive_in_the_root_is_unpacked(self, sources, made_up, root):
        sources().kept.write_bytes(made_up.raw)
        assert sources().from_kept() == root / "cifar-10-batches-py"
        assert sources().kept.exists()  # to mend a damaged file without a network

    def test_half_an_archive_in_the_root_will_be_continued(self, server, sources, made_up, root):
        sources().kept.write_bytes(made_up.raw[:70_000])
        with pytest.raises(SourceError, match=r"70,000 bytes, expected .* will be continued"):
            sources().from_kept()
        server.files["/a.tgz"] = made_up.raw
        sources().from_url(f"{server.url}/a.tgz")
        assert server.sent == len(made_up.raw) - 70_000
        assert faults(made_up.archive, root) == []

    def test_a_wrong_archive_in_the_root_is_set_aside(self, sources, made_up, root):
        sources().kept.write_bytes(made_up.raw[::-1])
        with pytest.raises(SourceError, match=r"md5 .* renamed to cifar-10-python\.tar\.gz\.bad"):
            sources().from_kept()
        assert os.listdir(root) == ["cifar-10-python.tar.gz.bad"]

    def test_the_official_server_is_announced(self, server, sources, made_up, said):
        server.files["/official"] = made_up.raw
        archive = dataclasses.replace(made_up.archive, url=f"{server.url}/official")
        slow = sources(archive=archive)
        slow.part.write_bytes(made_up.raw[:100_000])
        slow.from_official()
        assert said[0].startswith("getting 0.2 MB (0.1 MB of them are here already) from 127.0.0.1")
        for words in ("40-57 minutes", "55-85 kB/s", "--mirror URL", "continue later"):
            assert words in said[0]

    def test_too_little_space_is_said_before_the_first_byte(self, server, sources, monkeypatch):
        usage = shutil.disk_usage("/")._replace(free=100_000)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
        with pytest.raises(UserError, match=r"nearly full: .* has 0 MB free and this needs"):
            sources().from_url(f"{server.url}/a.tgz")
        assert server.log == []


class TestParquet:
    @pytest.mark.parametrize(
        ("mirror", "folder"),
        [
            ("/datasets/uoft-cs/cifar10", "/datasets/uoft-cs/cifar10/resolve/main/plain_text/"),
            ("/datasets/uoft-cs/cifar10/", "/datasets/uoft-cs/cifar10/resolve/main/plain_text/"),
            ("/some/folder/", "/some/folder/"),
            ("/some/train-00000-of-00001.parquet", "/some/"),
        ],
    )
    def test_from_the_web(self, server, sources, made_up, parquet_bytes, root, mirror, folder):
        serve_parquet(server, parquet_bytes, folder)
        assert sources().named(server.url + mirror)() == root / "cifar-10-unordered"
        images, _ = read(made_up.archive, root)["train"]
        assert images.sum() == made_up.splits["train"][0].sum()
        assert os.listdir(root) == ["cifar-10-unordered"]

    def test_a_folder_with_the_archive_gives_the_archive(self, server, sources, made_up, root):
        server.files["/some/cifar-10-python.tar.gz"] = made_up.raw
        assert sources().named(f"{server.url}/some/")() == root / "cifar-10-batches-py"

    def test_a_folder_with_neither_names_both(self, server, sources):
        pytest.importorskip("pyarrow")
        with pytest.raises(SourceError, match=r"tar\.gz: HTTP .*404.*; test-.*parquet: HTTP .*404"):
            sources().named(f"{server.url}/some/")()

    @pytest.mark.parametrize("form", ["folder", "file", "url"])
    def test_from_the_disk(self, sources, made_up, parquet_bytes, root, tmp_path, form):
        folder = tmp_path / "disk" / "plain_text"
        folder.mkdir(parents=True)
        for split, raw in parquet_bytes.items():
            (folder / f"{split}-00000-of-00001.parquet").write_bytes(raw)
        file = folder / "train-00000-of-00001.parquet"
        mirror = {"folder": str(folder.parent), "file": str(file), "url": file.as_uri()}[form]
        sources().named(mirror)()
        assert read(made_up.archive, root).keys() == {"train", "test"}

    def test_a_break_is_continued_over_two_calls(self, server, sources, parquet_bytes, root):
        serve_parquet(server, parquet_bytes, "/")
        for split in parquet_bytes:
            server.etags[f"/{split}-00000-of-00001.parquet"] = f'"{split}"'
        server.plan({}, {"cut": 50_000}, {"status": 503})  # test whole; train breaks
        url = f"{server.url}/"
        with pytest.raises(SourceError, match=r"train-.*parquet: HTTP status 503 .* at 50,000"):
            sources().from_parquet_url(url)
        server.plan({})
        sources().from_parquet_url(url)
        assert server.sent == sum(len(raw) for raw in parquet_bytes.values())
        assert os.listdir(root) == ["cifar-10-unordered"]

    def test_one_flipped_pixel_is_refused_and_nothing_stays(
        self, server, sources, made_up, parquet, parquet_bytes, root
    ):
        images, labels = made_up.splits["train"]
        images = images.copy()
        images[17, 2, 31, 31] ^= 1
        serve_parquet(server, parquet_bytes | {"train": parquet(images, labels)}, "/")
        with pytest.raises(SourceError, match="the train images or labels are not those of cifar1"):
            sources().from_parquet_url(f"{server.url}/")
        assert os.listdir(root) == []

    def test_a_file_that_is_none_is_not_kept(self, server, sources, root):
        pytest.importorskip("pyarrow")
        serve_parquet(server, {"test": b"PAR1 rubbish PAR1"}, "/")
        with pytest.raises(SourceError, match="the parquet files of test cannot be read"):
            sources().from_parquet_url(f"{server.url}/")
        assert os.listdir(root) == []


class TestPngs:
    @pytest.mark.parametrize("form", ["path", "url"])
    def test_from_the_disk(self, sources, made_up, png_folder, root, form):
        folder = png_folder(made_up.splits)
        assert sources().named(str(folder) if form == "path" else folder.as_uri())() == (
            root / "cifar-10-unordered"
        )
        np.testing.assert_array_equal(
            np.sort(read(made_up.archive, root)["test"][1]), np.sort(made_up.splits["test"][1])
        )

    def test_an_image_in_the_wrong_class_is_refused(self, sources, made_up, png_folder, root):
        folder = png_folder(made_up.splits)
        (folder / "train" / "cat" / "3.png").rename(folder / "train" / "dog" / "3.png")
        with pytest.raises(SourceError, match="the train images or labels are not those of cifar1"):
            sources().from_path(folder)
        assert os.listdir(root) == []


def test_other_orders_are_passed_over_when_the_official_one_is_asked_for(
    server, sources, made_up, png_folder
):
    only = sources(official_order=True)
    with pytest.raises(SourceError, match="passed over: it has not the official order"):
        only.from_path(png_folder(made_up.splits))
    with pytest.raises(SourceError, match="passed over"):
        only.from_parquet_url(f"{server.url}/")
    assert server.log == []


@pytest.mark.parametrize(
    ("mirror", "message"),
    [("s3://bucket/x", "'s3://bucket/x' starts with s3://; give http://"), ("ftp://x/y", "ftp://")],
)
def test_a_mirror_of_an_unknown_kind_is_a_mistake(sources, mirror, message):
    with pytest.raises(UserError, match=message):
        sources().named(mirror)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "no such file or folder"),
        (lambda p: p.mkdir(), r"a folder with neither cifar-10-python\.tar\.gz, nor test\*\.parq"),
        (lambda p: p.write_bytes(b"x"), "1 bytes, expected"),
        (os.mkfifo, "no such file or folder"),
    ],
)
def test_a_path_that_holds_no_data_set(sources, tmp_path, make, message):
    make(tmp_path / "mirror")
    with pytest.raises(SourceError, match=message):
        sources().named(str(tmp_path / "mirror"))()
