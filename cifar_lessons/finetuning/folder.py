"""A folder with a subfolder a class, read into memory as 32 x 32 pictures and split in two.

Every picture is checked as `predict` checks its own. What looks wrong is said with its name, and
nothing is left out in silence.
"""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from cifar_lessons.data.cifar import Split
from cifar_lessons.data.picture import read_picture
from cifar_lessons.errors import UserError
from cifar_lessons.finetuning.layout import (
    complain,
    given_split,
    list_classes,
    require_same_classes,
)
from cifar_lessons.runtime import stream

FEWEST = 5  # pictures of a class that is split here: at least one of them is held out
FEWEST_GIVEN = (2, 1)  # in train/ and in val/, where the user has split
MOST = 200_000  # pictures: 0.6 GB


@dataclass(frozen=True)
class Pictures:
    """What was found in a folder.

    Attributes:
        classes: Names of the subfolders, sorted; a label is a place in them.
        train: Pictures to learn from.
        val: Pictures held out.
        digest: sha256 of classes, labels, pixels and split: the same pictures in another place
            have the same.
        notes: Lines that a person should read, such as one on pictures that stand twice.
    """

    classes: tuple[str, ...]
    train: Split
    val: Split
    digest: str
    notes: tuple[str, ...] = ()


def read_folder(
    folder: Path,
    *,
    val_share: float = 0.2,
    seed: int = 0,
    skip_broken: bool = False,
    progress: bool = False,
) -> Pictures:
    """Return the pictures of a folder.

    With subfolders `train` and `val` (or `valid`, `validation`) that hold the classes, that split
    is taken; else a share of each class is held out, drawn by the seed.

    Args:
        folder: FOLDER/CLASS/picture.png, or FOLDER/train/CLASS/picture.png and FOLDER/val/CLASS/….
        val_share: Of each class, in (0, 0.5]; not used where the folder is split already.
        seed: Decides which ones.
        skip_broken: Leave out files that are no pictures, and say so; else the first is an error.
        progress: Show a bar on a terminal.

    Raises:
        UserError: No folder, no classes, too few pictures, or a file that is no picture.
    """
    if not 0 < val_share <= 0.5:
        raise UserError(f"--val-share must be in (0, 0.5], got {val_share:g}; try 0.2")
    if not folder.is_dir():
        raise UserError(f"no folder {folder}: give one that holds a subfolder a class")
    notes: list[str] = []
    given = given_split(folder, notes)
    if given:
        train_files, val_files = (list_classes(part, notes, skip_broken) for part in given)
        require_same_classes(*given, train_files, val_files)
    else:
        train_files, val_files = list_classes(folder, notes, skip_broken), {}
    classes = tuple(train_files)
    count = sum(map(len, (*train_files.values(), *val_files.values())))
    if count > MOST:
        raise UserError(f"{folder} holds {count:,} pictures, and {MOST:,} is the most that is read")
    bar = tqdm(total=count, unit="picture", disable=not (progress and sys.stderr.isatty()))
    with bar:
        parts = [_read(files, bar, notes, skip_broken) for files in (train_files, val_files)]
    if given:
        for part, path, fewest in zip(parts, given, FEWEST_GIVEN, strict=True):
            _require_enough(path, classes, part[1], fewest)
        train, val = (_split(*part, np.arange(len(part[1]))) for part in parts)
    else:
        _require_enough(folder, classes, parts[0][1], FEWEST)
        held = _hold_out(parts[0][1], len(classes), share=val_share, seed=seed)
        train, val = (_split(*parts[0], np.flatnonzero(which)) for which in (~held, held))
    notes += _twins(train, val)
    return Pictures(classes, train, val, _digest(classes, train, val), tuple(notes))


def _require_enough(
    folder: Path, classes: tuple[str, ...], labels: npt.NDArray[np.int64], fewest: int
) -> None:
    counts = np.bincount(labels, minlength=len(classes))
    if counts.min() < fewest:
        which, few = classes[int(counts.argmin())], int(counts.min())
        raise UserError(
            f"class {which!r} in {folder} has {few} picture{'s' * (few != 1)}: {fewest} are the "
            "fewest; add some, or take the class away"
        )


def _read(
    files: Mapping[str, list[Path]], bar: "tqdm[None]", notes: list[str], skip_broken: bool
) -> tuple[list[Tensor], npt.NDArray[np.int64]]:
    """Return pictures (3, 32, 32) and labels (N,), in the order of classes and names."""
    pixels: list[Tensor] = []
    labels: list[int] = []
    mistakes: list[str] = []
    for label, paths in enumerate(files.values()):
        for path in paths:
            bar.update()
            try:
                pixels.append(read_picture(path)[0])
                labels.append(label)
            except UserError as error:
                mistakes.append(str(error))
    complain(mistakes, skip_broken)
    notes += [f"left out: {mistake}" for mistake in mistakes]
    return pixels, np.array(labels, dtype=np.int64)


def _hold_out(
    labels: npt.NDArray[np.int64], classes: int, *, share: float, seed: int
) -> npt.NDArray[np.bool_]:
    """Return which pictures are held out: about the share of each class, and one at least."""
    held = np.zeros(len(labels), dtype=bool)
    for label in range(classes):
        mine = np.flatnonzero(labels == label)
        order = torch.randperm(len(mine), generator=stream(seed, "split", label)).numpy()
        held[mine[order[: max(1, round(share * len(mine)))]]] = True
    return held


def _split(
    pixels: list[Tensor], labels: npt.NDArray[np.int64], which: npt.NDArray[np.int64]
) -> Split:
    images = torch.stack([pixels[k] for k in which])
    return Split(
        images.contiguous(memory_format=torch.channels_last),
        torch.from_numpy(labels[which]),
        torch.from_numpy(which.astype(np.int64)),
    )


def _digest(classes: Iterable[str], *splits: Split) -> str:
    joined = hashlib.sha256("\0".join(classes).encode())
    for split in splits:
        joined.update(split.labels.numpy().tobytes())
        joined.update(split.images.contiguous().numpy().tobytes())
    return joined.hexdigest()


def _twins(train: Split, val: Split) -> list[str]:
    """Return notes on pictures that stand more than once, pixel for pixel at 32 x 32."""
    known: dict[bytes, int] = {}
    shared, doubtful = 0, 0
    for split in (train, val):
        for image, label in zip(split.images, split.labels.tolist(), strict=True):
            key = hashlib.sha256(image.numpy().tobytes()).digest()
            shared += split is val and key in known
            doubtful += known.setdefault(key, label) != label
    notes = []
    if shared:
        notes.append(
            f"{shared} of {len(val)} validation pictures have a twin, among the pictures to learn "
            "from or among themselves: the accuracy below is too high"
        )
    if doubtful:
        notes.append(f"{doubtful} pictures stand under two classes: one of the two is wrong")
    return notes
