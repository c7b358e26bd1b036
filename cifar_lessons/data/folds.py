"""K folds: every image is held out exactly once, by a network that never trained on it.

Source: M. Stone (1974), Cross-Validatory Choice and Assessment of Statistical Predictions, J. R.
Stat. Soc. B 36, 111-147. The cutting is scikit-learn's `StratifiedKFold` and `KFold`.
"""

import numpy as np
import numpy.typing as npt

from cifar_lessons.errors import UserError
from cifar_lessons.runtime import stream_seed

Labels = npt.NDArray[np.int64]


def cut(labels: Labels, *, folds: int, seed: int, stratified: bool = True) -> list[Labels]:
    """Return the positions that each fold holds out, sorted; together they are all of them.

    Args:
        labels: Class of each image, shape (N,).
        folds: Parts, at least 2.
        seed: Of the cut alone; another one is another partition.
        stratified: Each class is shared out evenly, to one image. Without, the images are dealt
            out blindly, and by chance a fold has more cats than another.

    Raises:
        UserError: Fewer than 2 folds, or a class with fewer images than there are folds.
    """
    if folds < 2:
        raise UserError(
            f"folds must be >= 2, got {folds}: one part would be left to train on nothing; try 5"
        )
    fewest = int(np.bincount(labels)[np.unique(labels)].min()) if len(labels) else 0
    if folds > (fewest if stratified else len(labels)):
        what = "images of the smallest class" if stratified else "images in all"
        there = fewest if stratified else len(labels)
        raise UserError(
            f"{folds} folds of {len(labels)} images need {folds} {what}, and there are {there}; "
            f"try {min(5, there)} folds" + (", or more images" if there < 2 else "")
        )
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = StratifiedKFold if stratified else KFold
    # Its own random numbers for each number of folds, and none in common with `stratified_split`.
    splitter = kind(folds, shuffle=True, random_state=stream_seed(seed, "split", folds) % 2**32)
    return [np.sort(held_out) for _, held_out in splitter.split(np.zeros(len(labels)), labels)]


def fold_split(labels: Labels, *, folds: int, fold: int, seed: int) -> tuple[Labels, Labels]:
    """Return (train, held out) positions of one fold, sorted.

    Args:
        labels: Class of each image, shape (N,).
        folds: See `cut`.
        fold: Which part is held out, in [0, folds).
        seed: See `cut`.

    Raises:
        UserError: See `cut`.
    """
    held_out = cut(labels, folds=folds, seed=seed)[fold]
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out
