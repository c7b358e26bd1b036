"""Confident learning: which images probably carry a wrong label, from out-of-fold probabilities.

Source: Northcutt, Jiang & Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset
Labels, J. Artif. Intell. Res. 70, 1373-1411, section 3: off the diagonal of the confident joint
(their method 2), ranked by the margin of their method 4. The probabilities must come from networks
that never trained on the image: one that did has learned its label, right or wrong, by heart.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


def thresholds(probabilities: Floats, given: Labels) -> Floats:
    """Return how sure the networks usually are of each class, shape (K,).

    The mean probability of class k over the images that are labelled k.

    Args:
        probabilities: Out-of-fold, shape (N, K).
        given: The labels as they are, perhaps wrong, shape (N,), in [0, K).

    Raises:
        ValueError: Shapes that don't belong together, or a class without an image.
    """
    if probabilities.ndim != 2 or given.shape != probabilities.shape[:1]:
        raise ValueError(
            f"probabilities (N, K) and labels (N,) are needed, got {probabilities.shape} and "
            f"{given.shape}; take both in one order"
        )
    counts = np.bincount(given, minlength=probabilities.shape[1])
    if len(counts) > probabilities.shape[1] or not counts.all():
        raise ValueError(
            f"each of the {probabilities.shape[1]} classes needs an image, got {counts.tolist()} "
            "of them by class; use the whole data set"
        )
    own = probabilities[np.arange(len(given)), given]
    return np.asarray(np.bincount(given, weights=own) / counts)


def confident_class(probabilities: Floats, given: Labels) -> Labels:
    """Return the class that each image is confidently in, shape (N,); -1 where there is none.

    Of the classes whose probability reaches its threshold, the likeliest.
    """
    reached = np.where(probabilities >= thresholds(probabilities, given), probabilities, -1.0)
    return np.where(reached.max(axis=1) >= 0, reached.argmax(axis=1), -1)


def confident_joint(probabilities: Floats, given: Labels) -> Labels:
    """Return how many images labelled i are confidently in class j, shape (K, K).

    Off the diagonal are the suspects. Images that are confidently nowhere are not counted.
    """
    found, classes = confident_class(probabilities, given), probabilities.shape[1]
    joint = np.zeros((classes, classes), np.int64)
    np.add.at(joint, (given[found >= 0], found[found >= 0]), 1)
    return joint


def estimated_wrong(probabilities: Floats, given: Labels) -> float:
    """Return the estimated share of wrong labels, in [0, 1].

    Each row of the confident joint is scaled to the number of images with that label.
    """
    joint = confident_joint(probabilities, given).astype(np.float64)
    rows = np.maximum(joint.sum(axis=1, keepdims=True), 1)
    scaled = joint / rows * np.bincount(given, minlength=len(joint))[:, None]
    return float(1 - scaled.trace() / scaled.sum())


@dataclass(frozen=True, eq=False)
class Suspects:
    """Images whose label is probably wrong, the likeliest first.

    Attributes:
        index: Their rows, shape (M,).
        suggested: The class that they are confidently in, shape (M,).
        margin: Probability of the given label minus that of the suggested class, shape (M,),
            rising; -1 is certain.
    """

    index: Labels
    suggested: Labels
    margin: Floats

    def __len__(self) -> int:
        """Return M."""
        return len(self.index)


def find_label_errors(probabilities: Floats, given: Labels) -> Suspects:
    """Return the images that are confidently in another class than their label's.

    Args:
        probabilities: Out-of-fold, shape (N, K).
        given: The labels as they are, shape (N,), in [0, K).

    Raises:
        ValueError: See `thresholds`.
    """
    found = confident_class(probabilities, given)
    index = np.flatnonzero((found >= 0) & (found != given))
    margin = probabilities[index, given[index]] - probabilities[index, found[index]]
    order = np.argsort(margin, kind="stable")
    return Suspects(index[order], found[index[order]], margin[order])


@dataclass(frozen=True)
class Catch:
    """How well suspects hit wrong labels that are known; `precision` and `recall` in [0, 1]."""

    suspects: int
    hits: int
    wrong: int

    @property
    def precision(self) -> float:
        """Return the share of the suspects that are wrong indeed; nan of none."""
        return self.hits / self.suspects if self.suspects else float("nan")

    @property
    def recall(self) -> float:
        """Return the share of the wrong labels that are among the suspects; nan of none."""
        return self.hits / self.wrong if self.wrong else float("nan")


def catch(suspects: Labels, wrong: npt.NDArray[np.bool_]) -> Catch:
    """Return how many wrong labels are among the suspects.

    Args:
        suspects: Rows, shape (M,); take the first n of a ranking for "at n".
        wrong: Whether each label is wrong, shape (N,).
    """
    return Catch(len(suspects), int(wrong[suspects].sum()), int(wrong.sum()))
