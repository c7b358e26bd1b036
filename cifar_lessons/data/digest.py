"""The content of a data set as one number that no order and no container changes.

The published md5s are of the official archive's bytes. The same images packed as parquet or as
PNG files have other bytes, so for them we check what is inside.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Computed from the official files; CIFAR-100 with its fine labels.
CONTENT_DIGESTS = {
    "cifar10": {
        "train": "331543a9074b4721559d35e4582c96b2086b08a4a09d0107058caa727e2f564b",
        "test": "1d250ff247e78611d1d47aab55341ac674b13ea5927a71e5f4932926efbb847d",
    },
    "cifar100": {
        "train": "0019cde32919086eb09f4956e3e41e2ad1c7859b38722374bacbae2cd90bddbb",
        "test": "ad55d351338f44cb7af75defa4d2b65af311c819d67289b32370f2c4ee5b42e9",
    },
}


def image_digests(images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> list[str]:
    """Return the hex sha256 of each image's 3,072 bytes (rows, columns, RGB) and its label byte.

    Args:
        images: Shape (N, 3, 32, 32), uint8.
        labels: Classes in [0, 256), shape (N,), any integer type.

    Raises:
        ValueError: A shape, type or label lies outside of this.
    """
    if images.dtype != np.uint8 or images.shape[1:] != (3, 32, 32):
        raise ValueError(
            f"images must be uint8 of shape (N, 3, 32, 32), got {images.dtype} {images.shape}; "
            "transpose (N, 32, 32, 3) with images.transpose(0, 3, 1, 2)"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(
            f"labels must have shape ({len(images)},), one an image, got {labels.shape}"
        )
    if len(labels) and not (labels.min() >= 0 and labels.max() < 256):
        raise ValueError(
            f"labels must fit one byte, got {labels.min()} to {labels.max()}; use class indices"
        )
    hashes = []
    for start in range(0, len(images), 1_000):  # in parts: a whole copy would be 150 MB
        part = images[start : start + 1_000].transpose(0, 2, 3, 1).reshape(-1, 3072)
        label = labels[start : start + 1_000].astype(np.uint8)[:, None]
        rows = np.concatenate([part, label], axis=1)  # (n, 3073)
        hashes += [hashlib.sha256(row.tobytes()).hexdigest() for row in rows]
    return hashes


def content_digest(hashes: Iterable[str]) -> str:
    """Return the hex sha256 of the sorted, joined `image_digests` of a split."""
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()
