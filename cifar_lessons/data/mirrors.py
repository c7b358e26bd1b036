"""The same images in other containers: Hugging Face's parquet files, or PNG files by class.

Both give the right content in an order of their own; `unordered` checks and keeps it.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cifar_lessons.data.official import Archive, SourceError
from cifar_lessons.errors import UserError

Images = NDArray[np.uint8]  # (N, 3, 32, 32)
Labels = NDArray[np.int64]  # (N,)

SPLITS = ("test", "train")  # the small one first: a wrong mirror shows early


def parquet_files(folder: Path, split: str) -> list[Path]:
    """Return the files of a split below a folder: `plain_text/train-00000-of-00001.parquet`."""
    return sorted(folder.rglob(f"{split}*.parquet"))


def require_parquet_reader() -> None:
    """Raise a `UserError` with the command that installs pyarrow, if it is not there."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UserError(
            "reading parquet files needs pyarrow, which is not installed: "
            "run `pip install 'cifar-lessons[parquet]'`"
        ) from None


def read_parquet(archive: Archive, split: str, files: Sequence[Path]) -> tuple[Images, Labels]:
    """Return the images and labels of a split.

    Args:
        archive: Which data set; says how many rows and which column of labels there must be.
        split: `train` or `test`.
        files: Columns `img` (a struct with PNG `bytes`) and `label` or `fine_label`.

    Raises:
        SourceError: A file is none of these, or a row is no 32x32 RGB image with a label in range.
        UserError: pyarrow is not installed.
    """
    require_parquet_reader()
    import pyarrow
    import pyarrow.parquet

    def rows() -> Iterator[tuple[str, bytes, int]]:
        for path in files:
            with pyarrow.parquet.ParquetFile(path) as table:
                columns = [archive.label_column, "img"]
                for column in columns:
                    if column not in table.schema_arrow.names:
                        raise SourceError(
                            f"{path.name} has no column {column!r}: not {archive.name}"
                        )
                for batch in table.iter_batches(batch_size=1_000, columns=columns):
                    labels = batch.column(columns[0]).to_pylist()
                    images = batch.column("img").field("bytes").to_pylist()
                    for png, label in zip(images, labels, strict=True):
                        yield path.name, png, label

    try:
        count = sum(pyarrow.parquet.read_metadata(path).num_rows for path in files)
        if count != archive.counts[split]:
            raise SourceError(f"{split} has {count:,} rows, expected {archive.counts[split]:,}")
        return _arrays(archive, split, rows())
    except (pyarrow.ArrowException, OSError, KeyError, AttributeError, TypeError) as error:
        text = " ".join(str(error).split())[:200]
        raise SourceError(f"the parquet files of {split} cannot be read ({text})") from error


def read_pngs(archive: Archive, split: str, folder: Path) -> tuple[Images, Labels]:
    """Return the images and labels of a split, from `folder/<split>/…/<class>/<any name>.png`.

    Raises:
        SourceError: A folder is no class, the count is wrong, or a file is no 32x32 RGB PNG.
    """
    paths = sorted((folder / split).rglob("*.png"))
    if len(paths) != archive.counts[split]:
        raise SourceError(
            f"{folder / split} holds {len(paths):,} PNG files, expected {archive.counts[split]:,}"
        )
    label_of = {name: label for label, name in enumerate(archive.classes)}

    def rows() -> Iterator[tuple[str, bytes, int]]:
        for path in paths:
            if path.parent.name not in label_of:
                raise SourceError(
                    f"folder {path.parent.name!r} is no class of {archive.name}; "
                    f"they are named {archive.classes[0]!r} to {archive.classes[-1]!r}"
                )
            yield str(path), path.read_bytes(), label_of[path.parent.name]

    try:
        return _arrays(archive, split, rows())
    except OSError as error:
        raise SourceError(f"{error.filename} cannot be read ({error.strerror})") from error


def _arrays(
    archive: Archive, split: str, rows: Iterator[tuple[str, Any, Any]]
) -> tuple[Images, Labels]:
    count = archive.counts[split]
    images = np.empty((count, 3, 32, 32), np.uint8)
    labels = np.empty(count, np.int64)
    filled = 0
    for where, png, label in rows:
        name = f"{where}, {split} image {filled}"
        if not isinstance(label, int) or not 0 <= label < len(archive.classes):
            raise SourceError(f"{name}: label {label!r}, expected 0 to {len(archive.classes) - 1}")
        if filled == count:
            raise SourceError(f"more than the {count:,} images of {split}")
        images[filled], labels[filled] = _pixels(name, png), label
        filled += 1
    if filled != count:
        raise SourceError(f"{filled:,} images of {split}, expected {count:,}")
    return images, labels


def _pixels(name: str, png: Any) -> Images:
    """Return an image as (3, 32, 32); the size is checked before anything is decoded."""
    if not isinstance(png, bytes):
        raise SourceError(f"{name}: no PNG bytes but {type(png).__name__}")
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            if image.size != (32, 32) or image.mode != "RGB":
                width, height = image.size
                raise SourceError(f"{name}: {width}x{height} {image.mode}, expected 32x32 RGB")
            return np.asarray(image).transpose(2, 0, 1)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SourceError(f"{name}: not a PNG image, or a damaged one") from error
