"""Differences between classes: of one recipe over seeds and images, and of two recipes.

Two classes have no image in common, so the errors of their accuracies add up; but one trained
network answers for both, so they share the seed. As in `metrics`, seeds and images are random
effects; the images are drawn class by class, as in CIFAR, where each has 1,000 of them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cifar_lessons.evaluation.metrics import (
    Estimate,
    Predictions,
    mean_interval,
    paired_difference,
    require_same_images,
    wilson_interval,
)


def of_class(predictions: Predictions, label: int) -> Predictions:
    """Return the predictions on the images of one class.

    Raises:
        ValueError: The class has no image.
    """
    chosen = predictions.labels == label
    if not chosen.any():
        raise ValueError(
            f"class {label} has no image among {len(predictions)}; evaluate on the whole split, "
            f"or take one of {np.unique(predictions.labels).tolist()}"
        )
    return Predictions(predictions.logits[chosen], predictions.labels[chosen])


def class_intervals(
    predictions: Predictions, *, level: float = 0.95
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each class's accuracy, shape (K,), and Wilson's interval of it, shape (K, 2).

    The intervals are for the images of one network; they know nothing of other seeds.

    Raises:
        ValueError: A class has no image.
    """
    values, ends = [], []
    for label in range(predictions.logits.shape[1]):
        right = of_class(predictions, label).correct
        values.append(float(right.mean()))
        ends.append(wilson_interval(int(right.sum()), len(right), level=level))
    return np.array(values), np.array(ends)


def gap_weights(better: int, worse: Sequence[int]) -> dict[int, float]:
    """Return the weights of "accuracy of one class minus the mean of those of others"."""
    return {better: 1.0, **{label: -1.0 / len(worse) for label in worse}}


def contrast(
    runs: Sequence[Predictions],
    weights: Mapping[int, float],
    *,
    minus: Sequence[Predictions] = (),
    level: float = 0.95,
) -> Estimate:
    """Return a weighted sum of class accuracies, with an interval for seeds and images.

    Args:
        runs: One entry a seed, all on the same images in the same order.
        weights: By class; 1 for one class and -1 for another give their difference.
        minus: Other runs of the same seeds on the same images, whose sum is taken off: what
            both share, the hard images of a class, then takes itself out.
        level: Confidence in (0, 1).

    Returns:
        The estimate, a fraction. Its image variance is the sum over classes of weight squared
        times that of the class; its seed variance is that of the sums, a value a seed.

    Raises:
        ValueError: No runs, runs that don't belong together, or a class without images.
    """
    require_same_images([*runs, *minus])  # within a class all labels are equal: it shows here alone
    total, images = 0.0, 0.0
    by_seed = np.zeros(len(runs))
    for label, weight in weights.items():
        first = [of_class(run, label) for run in runs]
        if minus:
            second = [of_class(run, label) for run in minus]
            part = paired_difference(second, first, level=level)
            values = [
                a.correct.mean() - b.correct.mean() for a, b in zip(first, second, strict=True)
            ]
        else:
            part = mean_interval(first, level=level)
            values = [run.correct.mean() for run in first]
        total += weight * part.mean
        images += weight**2 * part.image_variance
        by_seed += weight * np.array(values)
    n = len(runs)
    seeds = float(by_seed.var(ddof=1)) / n if n > 1 else 0.0
    return Estimate(total, n, seeds, images, level)
