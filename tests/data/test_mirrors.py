"""Mirrors cifar_lessons/data/mirrors.py."""

import builtins
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_lessons.data.mirrors import (
    parquet_files,
    read_parquet,
    read_pngs,
    require_parquet_reader,
)
from cifar_lessons.data.official import SourceError
from cifar_lessons.errors import UserError


def png(size: tuple[int, int] = (32, 32), mode: str = "RGB", kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind)
    return buffer.getvalue()


NO_IMAGES = [
    (png((33, 32)), "33x32 RGB, expected 32x32 RGB"),
    (png((30_000, 2)), "30000x2 RGB, expected"),
    (png(mode="RGBA"), "32x32 RGBA, expected"),
    (png(mode="L"), "32x32 L, expected"),
    (png(mode="P"), "32x32 P, expected"),
    (png(kind="BMP"), "not a PNG image, or a damaged one"),
    (png()[:60], "not a PNG image, or a damaged one"),
    (b"", "not a PNG image, or a damaged one"),
    (b"no image", "not a PNG image, or a damaged one"),
]


class TestParquet:
    @pytest.mark.parametrize("split", ["train", "test"])
    def test_gives_the_very_pixels_and_labels(self, made_up, parquet, tmp_path, split):
        images, labels = made_up.splits[split]
        (tmp_path / "x.parquet").write_bytes(parquet(images, labels))
        got = read_parquet(made_up.archive, split, [tmp_path / "x.parquet"])
        np.testing.assert_array_equal(got[0], images)
        np.testing.assert_array_equal(got[1], labels)
        assert (got[0].dtype, got[1].dtype) == (np.uint8, np.int64)

    def test_files_in_parts_are_joined(self, made_up, parquet, tmp_path):
        images, labels = made_up.splits["train"]
        folder = tmp_path / "plain_text"
        folder.mkdir()
        for n, part in enumerate([slice(0, 25), slice(25, 40)]):
            (folder / f"train-0000{n}-of-00002.parquet").write_bytes(
                parquet(images[part], labels[part])
            )
        (folder / "test-00000-of-00001.parquet").write_bytes(b"")
        files = parquet_files(tmp_path, "train")
        assert len(files) == 2
        got = read_parquet(made_up.archive, "train", files)
        np.testing.assert_array_equal(got[0], images)

    @pytest.mark.parametrize(("image", "message"), NO_IMAGES)
    def test_what_is_no_image_is_refused(self, made_up, parquet, tmp_path, image, message):
        images, labels = made_up.splits["test"]
        (tmp_path / "x.parquet").write_bytes(parquet([*images[:7], image, *images[8:]], labels))
        with pytest.raises(SourceError, match=re.escape(f"x.parquet, test image 7: {message}")):
            read_parquet(made_up.archive, "test", [tmp_path / "x.parquet"])

    @pytest.mark.parametrize("label", [-1, 10, 255, None, 1.5, "cat"])
    def test_a_label_out_of_range_is_refused(self, made_up, parquet, tmp_path, label):
        images, labels = made_up.splits["test"]
        wrong = [label] * 20 if isinstance(label, str) else [*labels.tolist()[:-1], label]
        (tmp_path / "x.parquet").write_bytes(parquet(images, wrong))
        with pytest.raises(SourceError, match=r"label .*, expected 0 to 9"):
            read_parquet(made_up.archive, "test", [tmp_path / "x.parquet"])

    def test_another_number_of_rows_is_refused(self, made_up, parquet, tmp_path):
        images, labels = made_up.splits["test"]
        (tmp_path / "x.parquet").write_bytes(parquet(images[1:], labels[1:]))
        with pytest.raises(SourceError, match="test has 19 rows, expected 20"):
            read_parquet(made_up.archive, "test", [tmp_path / "x.parquet"])

    def test_another_data_set_is_refused_by_its_columns(self, made_up, parquet, tmp_path):
        (tmp_path / "x.parquet").write_bytes(parquet(*made_up.splits["test"], "fine_label"))
        with pytest.raises(SourceError, match=r"x\.parquet has no column 'label': not cifar10"):
            read_parquet(made_up.archive, "test", [tmp_path / "x.parquet"])

    def test_images_that_are_no_struct_are_refused(self, made_up, tmp_path):
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        table = pa.table({"img": list(range(20)), "label": [0] * 20})
        pq.write_table(table, tmp_path / "x.parquet")
        with pytest.raises(SourceError, match="the parquet files of test cannot be read"):
            read_parquet(made_up.archive, "test", [tmp_path / "x.parquet"])

    @pytest.mark.parametrize("keep", [0, 4, 1_000, -1])
    def test_a_file_that_is_cut_short_is_refused(self, made_up, parquet, tmp_path, keep):
        (tmp_path / "x.parquet").write_bytes(parquet(*made_up.splits["test"])[:keep])
        with pytest.raises(SourceError, match="the parquet files of test cannot be read"):
            read_parquet(made_up.archive, "test", [tmp_path / "x.parquet"])

    def test_without_pyarrow_one_line_says_what_to_install(self, monkeypatch):
        real = builtins.__import__

        def without(name, *args):
            if name.startswith("pyarrow"):
                raise ImportError(name)
            return real(name, *args)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(UserError, match=re.escape("pip install 'cifar-lessons[parquet]'")):
            require_parquet_reader()


class TestPngs:
    @pytest.mark.parametrize("split", ["train", "test"])
    def test_gives_the_very_pixels_with_the_folder_as_label(self, made_up, png_folder, split):
        images, labels = read_pngs(made_up.archive, split, png_folder(made_up.splits))
        expected = {
            (image.tobytes(), label) for image, label in zip(*made_up.splits[split], strict=True)
        }
        got = {(image.tobytes(), label) for image, label in zip(images, labels, strict=True)}
        assert got == expected

    def test_folders_between_split_and_class_are_fine(self, made_up, png_folder):
        root = png_folder(made_up.splits)
        (root / "test" / "animals").mkdir()
        (root / "test" / "cat").rename(root / "test" / "animals" / "cat")
        _, labels = read_pngs(made_up.archive, "test", root)
        assert sorted(labels) == sorted(made_up.splits["test"][1])

    def test_a_folder_that_is_no_class(self, made_up, png_folder):
        root = png_folder(made_up.splits)
        (root / "test" / "cat").rename(root / "test" / "wolf")
        with pytest.raises(SourceError, match=r"'wolf' is no class of cifar10; .* 'airplane' to"):
            read_pngs(made_up.archive, "test", root)

    def test_one_file_too_few(self, made_up, png_folder):
        root = png_folder(made_up.splits)
        next(root.glob("test/cat/*.png")).unlink()
        with pytest.raises(SourceError, match="test holds 19 PNG files, expected 20"):
            read_pngs(made_up.archive, "test", root)

    @pytest.mark.parametrize(("image", "message"), NO_IMAGES)
    def test_what_is_no_image_is_refused(self, made_up, png_folder, image, message):
        root = png_folder(made_up.splits)
        path: Path = next(root.glob("test/cat/*.png"))
        path.write_bytes(image)
        with pytest.raises(SourceError, match=re.escape(message)) as caught:
            read_pngs(made_up.archive, "test", root)
        assert str(path) in str(caught.value)
