"""CIFAR-10 and CIFAR-100 in memory: read, verified, split; and a synthetic twin.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009).
The format, file names and md5s are those of `torchvision.datasets.CIFAR10` and `CIFAR100`.
"""

import hashlib
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cifar_lessons.data import unordered
from cifar_lessons.data.folds import fold_split
from cifar_lessons.data.official import fetch_command, official
from cifar_lessons.data.wrong_labels import plant
from cifar_lessons.errors import UserError, suggest
from cifar_lessons.runtime import stream, stream_seed

NAMES = ("cifar10", "cifar100")

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Images, their labels, and where each stands in the official order.

    Shapes: images (N, 3, 32, 32) uint8, labels (N,) int64, index (N,) int64.
    """

    images: Tensor
    labels: Tensor
    index: Tensor

    def __len__(self) -> int:
        """Return N."""
        return len(self.labels)

    def __getitem__(self, which: Tensor | slice) -> "Split":
        """Return the chosen images as a split of their own."""
        return Split(self.images[which], self.labels[which], self.index[which])


@dataclass(frozen=True)
class Cifar:
    """A data set with its three splits."""

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    digest: str  # md5 of the files that were read, joined; "synthetic" for the twin
    official_order: bool = True  # recorded runs need it: their logits are stored in it

    @property
    def synthetic(self) -> bool:
        """Return whether this is the made-up twin; a run on it cannot be recorded."""
        return self.digest == "synthetic"


def data_root(folder: Path | str | None = None) -> Path:
    """Return the folder of the data: the argument, else CIFAR_LESSONS_DATA, else the cache."""
    chosen = folder or os.environ.get("CIFAR_LESSONS_DATA") or "~/.cache/cifar-lessons"
    return Path(chosen).expanduser()


def read_official(
    name: str, root: Path
) -> tuple[Images, Labels, Images, Labels, tuple[str, ...], str]:
    """Read the official python batches, each verified before it is unpickled.

    Args:
        name: `cifar10` or `cifar100` (fine labels).
        root: Folder that holds `cifar-10-batches-py/` or `cifar-100-python/`.

    Returns:
        train images (50000, 3, 32, 32) uint8, train labels (50000,) int64, test images
        (10000, 3, 32, 32), test labels (10000,), class names, md5 of all md5s joined.

    Raises:
        UserError: A file is missing, or its md5 is not the published one.
    """
    archive = official(_known(name))
    folder = root / archive.folder
    mend = f"run `{fetch_command(name, root)}`, or give the right folder with --data"
    joined = hashlib.md5(usedforsecurity=False)
    batches: list[dict[str, Any]] = []
    for filename, md5 in archive.files:
        path = folder / filename
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            raise UserError(
                f"no {name} in {folder}: {filename} is missing (expected "
                f"{', '.join(f for f, _ in archive.files)}); {mend}"
            ) from None
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}; {mend}") from None
        found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
        if found != md5:
            raise UserError(
                f"{path} is damaged or not the official file: md5 {found}, expected {md5}; "
                f"delete it, then {mend}"
            )
        joined.update(found.encode())
        # Safe: these bytes are exactly the published ones.
        batches.append(pickle.loads(raw, encoding="latin1"))
    *train, test, _ = batches

    def arrays(parts: list[dict[str, Any]]) -> tuple[Images, Labels]:
        images = np.concatenate([part["data"] for part in parts]).reshape(-1, 3, 32, 32)
        labels = [part["labels" if "labels" in part else "fine_labels"] for part in parts]
        return images, np.concatenate(labels).astype(np.int64)

    return *arrays(train), *arrays([test]), archive.classes, joined.hexdigest()


def _known(name: str) -> str:
    """Return `name` if it is a data set of ours."""
    if name not in NAMES:
        raise UserError(f"no data set {name!r}: {suggest(name, NAMES)}")
    return name


def stratified_split(labels: Labels, *, val_size: int, seed: int) -> tuple[Labels, Labels]:
    """Return (train, validation) positions, sorted, with equal class shares in both.

    Args:
        labels: Class of each image, shape (N,).
        val_size: Images to hold out; 0 holds out none.
        seed: Of the split alone: the same for all runs, so that they can be compared.
    """
    everything = np.arange(len(labels))
    if val_size == 0:
        return everything, everything[:0]
    from sklearn.model_selection import train_test_split

    try:
        train, val = train_test_split(
            everything,
            test_size=val_size,
            stratify=labels,
            random_state=stream_seed(seed, "split") % 2**32,
        )
    except ValueError:
        raise UserError(
            f"data.val_size {val_size} cannot be stratified over {len(labels)} images of "
            f"{len(np.unique(labels))} classes; try data.val_size={len(labels) // 10}"
        ) from None
    return np.sort(train), np.sort(val)


def _assemble(
    name: str,
    arrays: tuple[Images, Labels, Images, Labels],
    classes: tuple[str, ...],
    digest: str,
    *,
    val_size: int,
    split_seed: int,
    folds: int = 0,
    fold: int = 0,
    wrong_labels: float = 0.0,
    official_order: bool = True,
) -> Cifar:
    train_images, train_labels, test_images, test_labels = arrays
    if wrong_labels:  # before the cut: whoever cuts real data knows no other labels
        train_labels = plant(
            train_labels, share=wrong_labels, classes=len(classes), seed=split_seed
        )
    if folds:
        train, val = fold_split(train_labels, folds=folds, fold=fold, seed=split_seed)
    else:
        train, val = stratified_split(train_labels, val_size=val_size, seed=split_seed)

    def split(images: Images, labels: Labels, index: Labels) -> Split:
        # channels_last storage: the layout in which convolutions on CPUs and GPUs are fastest.
        tensor = torch.from_numpy(images[index]).contiguous(memory_format=torch.channels_last)
        return Split(tensor, torch.from_numpy(labels[index]), torch.from_numpy(index))

    return Cifar(
        name=name,
        train=split(train_images, train_labels, train),
        val=split(train_images, train_labels, val),
        test=split(test_images, test_labels, np.arange(len(test_labels))),
        classes=classes,
        digest=digest,
        official_order=official_order,
    )


def load(
    name: str = "cifar10",
    *,
    root: Path | str | None = None,
    val_size: int = 5_000,
    split_seed: int = 0,
    folds: int = 0,
    fold: int = 0,
    wrong_labels: float = 0.0,
) -> Cifar:
    """Return the real data set, verified and split.

    Args:
        name: `cifar10` or `cifar100` (100 fine classes).
        root: Folder of the data; see `data_root`.
        val_size: Images held out of the 50,000, stratified by class.
        split_seed: Decides which ones.
        folds: Above 0, fold `fold` of so many is held out in place of `val_size` images.
        fold: Which one, from 0.
        wrong_labels: Share of the training and held-out images that get a wrong label on purpose;
            the test images keep theirs.

    Raises:
        UserError: The files are absent or damaged; the message says what to type.
    """
    folder = data_root(root)
    archive = official(_known(name))
    official_order = True
    try:
        *arrays, classes, digest = read_official(name, folder)
    except UserError:
        if not unordered.folder_of(archive, folder).is_dir():
            raise
        # A copy from a parquet or PNG mirror: the right content in another order.
        *arrays, classes, digest = unordered.read_unordered(name, folder)
        official_order = False
    return _assemble(
        name,
        tuple(arrays),  # type: ignore[arg-type]
        classes,
        digest,
        val_size=val_size,
        split_seed=split_seed,
        folds=folds,
        fold=fold,
        wrong_labels=wrong_labels,
        official_order=official_order,
    )


def synthetic(
    *,
    num_train: int = 2_000,
    num_test: int = 1_000,
    num_classes: int = 10,
    val_size: int = 500,
    seed: int = 0,
) -> Cifar:
    """Return a learnable twin of CIFAR, made from a seed: for tests, and for a first look.

    Each class is a smooth random colour pattern. Each image is its class's pattern, shifted by
    up to 4 pixels, mirrored half of the time, dimmed, and covered with noise.
    """
    rng = stream(seed, "synthetic")
    coarse = torch.randn(num_classes, 3, 6, 6, generator=rng)
    patterns = torch.nn.functional.interpolate(coarse, size=(40, 40), mode="bicubic")

    def make(n: int) -> tuple[Images, Labels]:
        labels = torch.randperm(n, generator=rng) % num_classes
        shift = torch.randint(0, 9, (n, 2), generator=rng)
        mirror = torch.rand(n, generator=rng) < 0.5
        light = 0.7 + 0.6 * torch.rand(n, 1, 1, 1, generator=rng)
        windows = patterns.unfold(2, 32, 1).unfold(3, 32, 1)  # (K, 3, 9, 9, 32, 32)
        images = windows[labels, :, shift[:, 0], shift[:, 1]]  # (N, 3, 32, 32)
        images = torch.where(mirror[:, None, None, None], images.flip(3), images) * light
        images = images + 0.6 * torch.randn(images.shape, generator=rng)
        pixels = (128 + 50 * images).clamp(0, 255).to(torch.uint8)
        return pixels.numpy(), labels.numpy()

    return _assemble(
        "cifar100" if num_classes == 100 else "cifar10",
        (*make(num_train), *make(num_test)),
        tuple(f"pattern {k}" for k in range(num_classes)),
        "synthetic",
        val_size=val_size,
        split_seed=0,
        official_order=False,
    )


def load_or_synthetic(
    name: str = "cifar10", *, root: Path | str | None = None, val_size: int = 5_000
) -> Cifar:
    """Return the real data if it is there, else the twin, with one banner line that says so.

    Args:
        name: `cifar10` or `cifar100`.
        root: Folder of the data; see `data_root`.
        val_size: Images held out of the 50,000; the twin, which is smaller, holds out at most 500.

    Raises:
        UserError: The real data is there and damaged: the twin never hides that.
    """
    folder, archive = data_root(root), official(_known(name))
    if (folder / archive.folder).is_dir() or unordered.folder_of(archive, folder).is_dir():
        return load(name, root=folder, val_size=val_size)
    print(
        f"SYNTHETIC DATA: no {name} in {folder}, so made-up patterns stand in for it; "
        f"`{fetch_command(name, folder)}` fetches the real images."
    )
    return synthetic(num_classes=100 if name == "cifar100" else 10, val_size=min(val_size, 500))
