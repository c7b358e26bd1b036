"""Which images networks get wrong, and how sure they were: chosen for looking at.

To look at a picture, its pixels must belong to the stored answers. A copy of CIFAR in another
order, or the synthetic twin, has other labels row by row: `same_images` finds that out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons.evaluation.calibration import confidence
from cifar_lessons.evaluation.metrics import Predictions

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Answers:
    """What several networks said to the same N images.

    Attributes:
        names: Of the M networks.
        labels: The right classes, shape (N,).
        said: Class that each network named, shape (M, N).
        sure: Probability that it gave to it, shape (M, N), in [1/K, 1].
    """

    names: tuple[str, ...]
    labels: Ints
    said: Ints
    sure: npt.NDArray[np.float64]

    @property
    def wrong(self) -> npt.NDArray[np.bool_]:
        """Return where each network is wrong, shape (M, N)."""
        return np.asarray(self.said != self.labels)


def answers(networks: Mapping[str, Predictions]) -> Answers:
    """Return the answers of networks, by name, to the images that all of them saw.

    Raises:
        ValueError: No network, or networks on different images.
    """
    if not networks:
        raise ValueError("at least one network is needed, got none; record a run first")
    first = next(iter(networks.values()))
    for name, predictions in networks.items():
        if not np.array_equal(predictions.labels, first.labels):
            raise ValueError(
                f"{name} was scored on other images than {next(iter(networks))}; score all on one "
                "test set, in one order"
            )
    return Answers(
        tuple(networks),
        first.labels,
        np.stack([p.predicted for p in networks.values()]),
        np.stack([confidence(p) for p in networks.values()]),
    )


def same_images(predictions: Predictions, labels: npt.NDArray[Any]) -> bool:
    """Return whether predictions can be of the images with these labels, row by row."""
    return np.array_equal(predictions.labels, labels)


def surest_mistakes(predictions: Predictions, count: int) -> Ints:
    """Return the rows of the wrong answers with the highest confidence, surest first.

    Args:
        predictions: Of one network.
        count: At most so many; fewer where there are fewer mistakes.

    Raises:
        ValueError: `count` is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}; try 20")
    sure = np.where(predictions.correct, -1.0, confidence(predictions))
    order = np.argsort(-sure, kind="stable")
    return np.asarray(order[: min(count, int((~predictions.correct).sum()))])


def sample(found: Answers, *, each: int, seed: int = 0) -> Ints:
    """Return rows worth looking at: of every network and class, the surest mistakes and others.

    Args:
        found: Answers of M networks.
        each: Mistakes of one network in one class: so many of the surest, and as many drawn at
            random from the rest.
        seed: Of the draw.

    Returns:
        Rows of images, rising, each once: at most 2 * each * M * K.

    Raises:
        ValueError: `each` is below 1.
    """
    if each < 1:
        raise ValueError(f"each must be >= 1, got {each}; try 12")
    rng, chosen = np.random.default_rng(seed), set[int]()
    for wrong, sure in zip(found.wrong, found.sure, strict=True):
        for label in np.unique(found.labels):
            rows = np.flatnonzero(wrong & (found.labels == label))
            rows = rows[np.argsort(-sure[rows], kind="stable")]
            rest = rows[each:]
            chosen.update(rows[:each].tolist())
            chosen.update(rng.choice(rest, min(each, len(rest)), replace=False).tolist())
    return np.array(sorted(chosen), dtype=np.int64)
