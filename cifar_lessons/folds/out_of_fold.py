"""Out-of-fold predictions: one for every training image, from the network that never saw it.

The K folds of a partition hold out each image once, so their logits put together cover them all.
No torch, and no images: runs keep which images a fold held out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cifar_lessons import recipes, runs
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.calibration import softmax
from cifar_lessons.evaluation.metrics import Predictions, accuracy


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The folds of one partition, put together.

    Attributes:
        predictions: For all N images, in the official order, with the labels that were trained on.
        fold: Which fold held each image out, shape (N,).
        runs: By fold.
    """

    predictions: Predictions
    fold: npt.NDArray[np.int64]
    runs: tuple[runs.Run, ...]

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Return the probability of each class, shape (N, K)."""
        return softmax(self.predictions.logits)


def assemble(parts: Sequence[runs.Run]) -> OutOfFold:
    """Put the folds of one partition together.

    Args:
        parts: All of its runs, in any order.

    Raises:
        UserError: They are not the folds of one partition: an image is held out twice, or never.
    """
    ordered = sorted(parts, key=lambda run: run.fold or 0)
    index = np.concatenate([run.index() for run in ordered])
    if not np.array_equal(np.sort(index), np.arange(len(index))):
        names = ", ".join(str(run.folder) for run in ordered)
        raise UserError(f"{names} are not the folds of one partition; record them again")
    found = [run.logits("val") for run in ordered]
    order = np.argsort(index)
    logits, labels = (np.concatenate([getattr(p, a) for p in found]) for a in ("logits", "labels"))
    fold = np.repeat(np.arange(len(found)), [len(p) for p in found])
    return OutOfFold(Predictions(logits[order], labels[order]), fold[order], tuple(ordered))


def recorded(name: str, *, seed: int = 0, root: Path | None = None) -> OutOfFold | None:
    """Return the out-of-fold predictions of a registered recipe, or None where a fold is missing.

    Args:
        name: Of a recipe whose folds are recorded.
        seed: Of the partition.
        root: Of the recorded runs; see `runs.runs_root`.

    Raises:
        UserError: The recorded runs are damaged.
    """
    states = runs.status(recipes.get(name), root=root)
    found = [run for number, _, run in states if number == seed]
    fresh = [run for run in found if run is not None]
    return assemble(fresh) if fresh and len(fresh) == len(found) else None


def planted(true: OutOfFold, given: OutOfFold) -> npt.NDArray[np.bool_]:
    """Return whether each image's label was changed on purpose, shape (N,).

    Args:
        true: Of networks trained on the labels as they came.
        given: Of networks trained with wrong labels among them.
    """
    return np.asarray(true.predictions.labels != given.predictions.labels)


def together_on_test(parts: Sequence[runs.Run]) -> tuple[float, float]:
    """Return the mean test accuracy of K networks, and that of their mean probabilities.

    The second comes for free once the folds are trained.
    """
    found = [run.logits("test") for run in parts]
    mean = np.mean([softmax(p.logits) for p in found], axis=0)
    single = float(np.mean([accuracy(p) for p in found]))
    return single, accuracy(Predictions(np.log(np.maximum(mean, 1e-30)), found[0].labels))
