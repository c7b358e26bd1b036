"""What a test set can tell: the smallest difference that it shows, and the images that one needs.

Two networks are compared on the same images, and only those count where exactly one is right: a
share d of them. A difference of accuracies delta then has the variance (d - delta**2) / N, which is
d / N where there is none. Source: R. J. Connor (1987), Biometrics 43, 207-211, for McNemar's test.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cifar_lessons.evaluation.metrics import Predictions, mean_interval


def disagreement(first: Predictions, second: Predictions) -> float:
    """Return the share of images where exactly one of two networks is right, in [0, 1].

    Raises:
        ValueError: The two were made on different images.
    """
    if not np.array_equal(first.labels, second.labels):
        raise ValueError(
            f"the two were scored on different images ({len(first)} and {len(second)}, or other "
            "labels); score both on one test set, in one order"
        )
    return float((first.correct != second.correct).mean())


def images_needed(
    difference: float, disagreement: float, *, power: float = 0.8, level: float = 0.95
) -> int:
    """Return how many test images show a difference between two networks.

    Args:
        difference: Of their accuracies, a fraction in (0, disagreement].
        disagreement: Share of the images where exactly one is right, in (0, 1].
        power: The chance that the test finds it, in (0.5, 1).
        level: 1 less the chance that it finds one where there is none, in (0.5, 1).

    Raises:
        ValueError: A number outside its range.
    """
    if not 0 < disagreement <= 1:
        raise ValueError(f"disagreement must lie in (0, 1], got {disagreement}; 0.1 is usual")
    if not 0 < difference <= disagreement:
        raise ValueError(
            f"difference must lie in (0, {disagreement}], the disagreement, got {difference}; two "
            "networks can't differ by more than the images where one is right"
        )
    alpha, beta = _quantiles(power, level)
    rest = math.sqrt(max(disagreement - difference**2, 0.0))
    return math.ceil(((alpha * math.sqrt(disagreement) + beta * rest) / difference) ** 2)


def smallest_difference(
    images: int, disagreement: float, *, power: float = 0.8, level: float = 0.95
) -> float:
    """Return the smallest difference of two accuracies that so many images show, a fraction.

    Args:
        images: Test images, >= 1.
        disagreement: Share of them where exactly one network is right, in (0, 1].
        power: The chance that the test finds the difference, in (0.5, 1).
        level: 1 less the chance that it finds one where there is none, in (0.5, 1).

    Returns:
        The difference, or the disagreement itself where even that is too small to be shown.

    Raises:
        ValueError: A number outside its range.
    """
    if images < 1:
        raise ValueError(f"images must be >= 1, got {images}; CIFAR has 10,000 test images")
    if not 0 < disagreement <= 1:
        raise ValueError(f"disagreement must lie in (0, 1], got {disagreement}; 0.1 is usual")
    alpha, beta = _quantiles(power, level)
    found = 0.0
    for _ in range(60):  # the variance holds the difference, a little: it settles at once
        rest = math.sqrt(max(disagreement - found**2, 0.0))
        found = (alpha * math.sqrt(disagreement) + beta * rest) / math.sqrt(images)
    return min(found, disagreement)


def _quantiles(power: float, level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    for name, value in (("power", power), ("level", level)):
        if not 0.5 < value < 1:
            raise ValueError(f"{name} must lie in (0.5, 1), got {value}; 0.8 and 0.95 are usual")
    return float(ndtri(0.5 + level / 2)), float(ndtri(power))


@dataclass(frozen=True)
class Noise:
    """By how much one run's accuracy moves, and why: standard deviations, as fractions.

    Attributes:
        n: Seeds behind it.
        seeds: From seed to seed on these test images: what a table of seeds shows.
        images: From test set to test set of this size, for one network.
    """

    n: int
    seeds: float
    images: float


def noise(runs: Sequence[Predictions]) -> Noise:
    """Return how far one run's accuracy moves with the seed, and with the test images.

    Args:
        runs: Two seeds or more of one recipe, on the same images in the same order.

    Raises:
        ValueError: Fewer than two runs, or runs on different images.
    """
    if len(runs) < 2:
        raise ValueError(f"two seeds or more are needed, got {len(runs)}; record another seed")
    both = mean_interval(runs)
    alone = [mean_interval([run]).image_variance for run in runs]
    return Noise(both.n, math.sqrt(both.seed_variance * both.n), math.sqrt(float(np.mean(alone))))
