"""A verified copy that did not come from the official archive, as plain numpy files.

Its images and labels are the official ones, proven by the content digest. Their order is not:
they are sorted by each image's sha256, so that every mirror gives the same copy. A recorded run
stores logits in the official order, so it needs the official archive.
"""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_lessons.data.digest import content_digest, image_digests
from cifar_lessons.data.disk import explained
from cifar_lessons.data.official import Archive, SourceError, fetch_command, official
from cifar_lessons.errors import UserError

# What numpy and zipfile raise for a file that is no archive of arrays, or is cut short.
UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, AttributeError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError),
)

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]


def folder_of(archive: Archive, root: Path) -> Path:
    """Return where the copy lies: `cifar-10-unordered` or `cifar-100-unordered` below `root`."""
    return root / f"cifar-{len(archive.classes)}-unordered"


def write(archive: Archive, root: Path, splits: Mapping[str, Arrays]) -> Path:
    """Check the content of both splits, then write `train.npz` and `test.npz`.

    Args:
        archive: Which data set.
        root: Folder of the data.
        splits: `train` and `test`: images (N, 3, 32, 32) uint8 and labels (N,), in any order.

    Returns:
        The folder of the two files.

    Raises:
        SourceError: The content is not the official one.
        UserError: The disk refuses.
    """
    ordered: dict[str, Arrays] = {}
    for split, (images, labels) in splits.items():
        hashes = image_digests(images, labels)
        got, expected = content_digest(hashes), archive.digests[split]
        if got != expected:
            raise SourceError(
                f"the {split} images or labels are not those of {archive.name}: "
                f"content digest {got}, expected {expected}"
            )
        order = np.argsort(hashes)
        ordered[split] = images[order], labels[order].astype(np.int64)
    folder = folder_of(archive, root)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for split, (images, labels) in ordered.items():
            part = folder / f"{split}.npz.part"
            try:
                with part.open("wb") as file:
                    np.savez(file, images=images, labels=labels)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, folder / f"{split}.npz")
            finally:
                part.unlink(missing_ok=True)
    return folder


def read(archive: Archive, root: Path) -> dict[str, Arrays]:
    """Return both splits, their content checked anew.

    Raises:
        SourceError: A file is missing, damaged or not the official content.
    """
    splits: dict[str, Arrays] = {}
    for split in ("train", "test"):
        path = folder_of(archive, root) / f"{split}.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                images, labels = arrays["images"], arrays["labels"]
            digest = content_digest(image_digests(images, labels))
        except FileNotFoundError:
            raise SourceError(f"{path} is missing") from None
        except UNREADABLE as error:
            raise SourceError(f"{path} cannot be read ({error})") from error
        if digest != archive.digests[split]:
            raise SourceError(
                f"{path} is damaged: content digest {digest}, expected {archive.digests[split]}"
            )
        splits[split] = images, labels
    return splits


def read_unordered(
    name: str, root: Path
) -> tuple[Any, NDArray[np.int64], Any, NDArray[np.int64], tuple[str, ...], str]:
    """Return the copy that a parquet or PNG mirror gave, verified; not in the official order.

    Args:
        name: `cifar10` or `cifar100` (fine labels).
        root: Folder that holds `cifar-10-unordered/` or `cifar-100-unordered/`.

    Returns:
        train images (50000, 3, 32, 32) uint8, train labels (50000,) int64, test images
        (10000, 3, 32, 32), test labels (10000,), class names, sha256 of the content.

    Raises:
        UserError: The copy is missing or damaged.
    """
    archive = official(name)
    try:
        splits = read(archive, Path(root))
    except SourceError as error:
        folder = folder_of(archive, Path(root))
        command = fetch_command(name, Path(root))
        raise UserError(f"{error}; delete {folder} and run `{command}`") from None
    digest = hashlib.sha256("".join(archive.digests[s] for s in splits).encode()).hexdigest()
    return *splits["train"], *splits["test"], archive.classes, digest
