"""Is a network right as often as it says? Its confidence against what came true.

The confidence is the largest softmax probability. Of the images with a confidence of about 80 %,
80 % should be right. Source: Guo, Pleiss, Sun & Weinberger (2017), arXiv:1706.04599: sections 2
(the measures) and 4.2 (temperature scaling). numpy alone; nothing is trained.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons.evaluation.metrics import Predictions, negative_log_likelihood

Floats = npt.NDArray[np.float64]
BINS = 15  # as in the source
COLDEST, HOTTEST = 0.05, 20.0  # temperatures that `fit_temperature` looks between


def softmax(logits: npt.NDArray[Any]) -> Floats:
    """Return exp(logits) / sum, row by row, in float64: shape (N, K), each row sums to 1."""
    z = logits.astype(np.float64)
    z = np.exp(z - z.max(axis=1, keepdims=True))  # exp can't overflow then
    return np.asarray(z / z.sum(axis=1, keepdims=True))


def confidence(predictions: Predictions) -> Floats:
    """Return the probability that each image's answer is given, shape (N,), in [1/K, 1]."""
    return np.asarray(softmax(predictions.logits).max(axis=1))


@dataclass(frozen=True, eq=False)
class Reliability:
    """What came true of what was promised, bin by bin.

    Attributes:
        edges: Of the bins on the axis of confidence, shape (B + 1,), rising.
        counts: Images in each bin, shape (B,).
        confidence: Mean confidence in each bin, shape (B,); NaN where it is empty.
        accuracy: Share of right answers in each bin, shape (B,); NaN where it is empty.
    """

    edges: Floats
    counts: npt.NDArray[np.int64]
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Return the calibration error, the mean over images of how far both are apart."""
        there = self.counts > 0
        gaps = np.abs(self.accuracy[there] - self.confidence[there])
        return float((self.counts[there] * gaps).sum() / self.counts.sum())


def reliability(
    predictions: Predictions, *, bins: int = BINS, adaptive: bool = False
) -> Reliability:
    """Sort images by confidence into bins, and compare it with the share that is right.

    Args:
        predictions: Of one network.
        bins: How many, >= 1.
        adaptive: Bins of equally many images; else bins of equal width, each with its lower end.
            A network that is sure of nearly everything leaves most equal-width bins almost empty.

    Raises:
        ValueError: Fewer than 1 bin, or more adaptive bins than images.
    """
    return _reliability(confidence(predictions), predictions.correct, bins, adaptive)


def _reliability(
    sure: Floats, right: npt.NDArray[np.bool_], bins: int, adaptive: bool
) -> Reliability:
    if bins < 1:
        raise ValueError(f"bins must be >= 1, got {bins}; {BINS} is the default")
    if adaptive and bins > len(sure):
        raise ValueError(
            f"{bins} adaptive bins need as many images, got {len(sure)}; use fewer bins"
        )
    if adaptive:
        order = np.argsort(sure, kind="stable")
        which = np.empty(len(sure), np.int64)
        which[order] = np.arange(len(sure)) * bins // len(sure)
        firsts = sure[order][[-(-b * len(sure) // bins) for b in range(bins)]]
        edges = np.append(firsts, sure.max())
    else:
        edges = np.linspace(0.0, 1.0, bins + 1)
        which = np.clip(np.searchsorted(edges, sure, side="right") - 1, 0, bins - 1)
    counts = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 in an empty bin is the NaN that is meant
        mean = np.bincount(which, sure, bins) / counts
        hits = np.bincount(which, right, bins) / counts
    return Reliability(edges, counts, mean, hits)


def expected_calibration_error(
    predictions: Predictions, *, bins: int = BINS, adaptive: bool = False
) -> float:
    """Return by how much confidence misses accuracy, a mean over images, in [0, 1].

    Source: Naeini, Cooper & Hauskrecht (2015), AAAI, for bins of equal width; Nguyen & O'Connor
    (2015), arXiv:1508.05154, for bins of equally many images (`adaptive`). Both are above 0 even
    for a network whose confidence is right: see `error_by_chance`.

    Raises:
        ValueError: Fewer than 1 bin, or more adaptive bins than images.
    """
    return reliability(predictions, bins=bins, adaptive=adaptive).error


def error_by_chance(
    predictions: Predictions,
    *,
    bins: int = BINS,
    adaptive: bool = False,
    draws: int = 200,
    seed: int = 0,
) -> Floats:
    """Return the calibration errors that perfect confidence would show, shape (draws,).

    Each draw lets every answer be right with the probability that its network gave it, and
    measures the error again. An error within the range of these is no sign of wrong confidence.

    Raises:
        ValueError: Fewer than 1 bin or 1 draw, or more adaptive bins than images.
    """
    if draws < 1:
        raise ValueError(f"draws must be >= 1, got {draws}; 200 is the default")
    sure, rng = confidence(predictions), np.random.default_rng(seed)
    return np.array(
        [
            _reliability(sure, rng.random(len(sure)) < sure, bins, adaptive).error
            for _ in range(draws)
        ]
    )


def brier_score(predictions: Predictions) -> float:
    """Return the mean squared distance of probabilities from the answer, in [0, 2].

    Summed over all classes, as in G. W. Brier (1950), Mon. Weather Rev. 78, 1-3. A blind guess
    among K classes has 1 - 1/K.
    """
    distance = softmax(predictions.logits)
    distance[np.arange(len(predictions)), predictions.labels] -= 1
    return float((distance**2).sum(axis=1).mean())


def scaled(predictions: Predictions, temperature: float) -> Predictions:
    """Return the predictions with all logits divided by T: the answers stay, the confidence moves.

    Raises:
        ValueError: T is not above 0, or not finite.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature must be > 0 and finite, got {temperature}; 1.0 changes nothing"
        )
    return Predictions(predictions.logits / np.float32(temperature), predictions.labels)


def fit_temperature(validation: Predictions) -> float:
    """Return the temperature whose scaled logits make the labels likeliest, with no unit.

    Above 1: the network was too sure. The mean loss is convex in 1/T, so it has one minimum.

    Args:
        validation: Predictions on images that the network was not trained on, and that are not
            those on which the result is judged.

    Raises:
        ValueError: No temperature between 0.05 and 20 is best: as where every answer is right,
            which asks for more and more confidence.
    """
    from scipy.optimize import minimize_scalar

    low, high = math.log(COLDEST), math.log(HOTTEST)
    found = minimize_scalar(
        lambda log_t: negative_log_likelihood(scaled(validation, math.exp(log_t))),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-6},
    )
    if not low + 1e-3 < found.x < high - 1e-3:
        raise ValueError(
            f"no temperature in [{COLDEST}, {HOTTEST}] is best for these {len(validation)} images, "
            f"of which {validation.correct.sum()} are answered right; use more validation images"
        )
    return math.exp(found.x)
