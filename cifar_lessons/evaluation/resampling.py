"""The bootstrap: what else could have come out, asked of the data themselves.

Draw as many test images as there are, with replacement, and measure again; a thousand times.
With several seeds, seeds are drawn in the same way. That is the pigeonhole bootstrap of a table
of seeds by images (Owen 2007, arXiv:0712.1111); for one seed it is that of Efron (1979), Annals
of Statistics 7, 1-26. It serves any metric, where a formula serves the accuracy alone.

With few seeds its interval is too narrow: of made-up data with two to five seeds, whose spread was
all between seeds, a 95 % interval held the truth in 51 to 84 of 100 cases. `metrics.mean_interval`
allows for that, so accuracies in the ledger come from there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cifar_lessons.evaluation.metrics import Predictions

Metric = Callable[[Predictions], float]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """A value, and what it became in each draw.

    Attributes:
        value: The metric, a mean over the runs as they are.
        draws: The same of each draw, shape (draws,).
        level: Confidence of `low` and `high`.
    """

    value: float
    draws: npt.NDArray[np.float64]
    level: float

    @property
    def low(self) -> float:
        """Return the lower end, a percentile of the draws."""
        return float(np.quantile(self.draws, (1 - self.level) / 2))

    @property
    def high(self) -> float:
        """Upper end."""
        return float(np.quantile(self.draws, (1 + self.level) / 2))


def bootstrap(
    runs: Sequence[Predictions],
    metric: Metric,
    *,
    minus: Sequence[Predictions] = (),
    draws: int = 1_000,
    seed: int = 0,
    level: float = 0.95,
) -> Bootstrap:
    """Return a metric with its percentile interval over images, and over seeds if there are more.

    Args:
        runs: One entry a seed, all on the same images in the same order.
        metric: Of one network, such as `metrics.accuracy`.
        minus: Other runs of the same seeds on the same images; the metric is then a difference,
            and each draw takes the same images for both.
        draws: How many, >= 1.
        seed: Of the draws.
        level: Confidence in (0, 1).

    Raises:
        ValueError: No runs, runs on different images, or a number outside its range.
    """
    if not runs:
        raise ValueError("at least one run is needed, got 0; record a seed first")
    if draws < 1:
        raise ValueError(f"draws must be >= 1, got {draws}; 1000 is the default")
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}; 0.95 is usual")
    if minus and len(minus) != len(runs):
        raise ValueError(
            f"paired seeds are needed, got {len(runs)} and {len(minus)} runs; keep the seeds that "
            "both recipes have"
        )
    for number, run in enumerate([*runs, *minus]):
        if not np.array_equal(run.labels, runs[0].labels):
            raise ValueError(
                f"run {number} was scored on other images than run 0; score all on one test set, "
                "in one order"
            )

    def measure(images: npt.NDArray[np.int64], chosen: Sequence[int]) -> float:
        values = {}
        for k in set(chosen):
            values[k] = metric(_take(runs[k], images))
            if minus:
                values[k] -= metric(_take(minus[k], images))
        return float(np.mean([values[k] for k in chosen]))

    rng, everything = np.random.default_rng(seed), np.arange(len(runs[0]))
    found = [
        measure(
            rng.integers(0, len(everything), len(everything)),
            rng.integers(0, len(runs), len(runs)).tolist(),
        )
        for _ in range(draws)
    ]
    return Bootstrap(measure(everything, range(len(runs))), np.array(found), level)


def _take(run: Predictions, images: npt.NDArray[np.int64]) -> Predictions:
    return Predictions(run.logits[images], run.labels[images])
