"""What K accuracies of a cross-validation say: their mean, how sure it is, how far it spreads.

The K networks share training images, so their accuracies are not independent, and the usual
standard error s / sqrt(J) is too small. Nadeau & Bengio (2003, Inference for the Generalization
Error, Machine Learning 52, 239-281, section 3) put

    s**2 * (1/J + n_test / n_train)

in its place, which supposes that two folds correlate as n_test / (n_train + n_test). That is a rule
of thumb made for random splits: no unbiased estimate of this variance exists (Bengio & Grandvalet
2004, J. Mach. Learn. Res. 5, 1089-1105).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FoldMean:
    """The mean of J accuracies with its standard error, fractions; `level` of low and high."""

    mean: float
    standard_error: float
    n: int
    level: float = 0.95

    @property
    def half_width(self) -> float:
        """Half the interval, with t of n - 1 degrees of freedom."""
        from scipy.special import stdtrit

        return float(stdtrit(self.n - 1, 0.5 + self.level / 2)) * self.standard_error

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half_width


def fold_mean(
    accuracies: npt.ArrayLike, *, n_train: int, n_test: int, corrected: bool = True
) -> FoldMean:
    """Return the mean accuracy over folds with the corrected standard error, or the naive one.

    Args:
        accuracies: Of one network each, shape (J,), J >= 2; repeats of a cross-validation may
            follow each other.
        n_train: Images that each network trained on.
        n_test: Images that each was scored on.
        corrected: Whether to add `n_test / n_train`.

    Raises:
        ValueError: Fewer than two accuracies, or a number of images below 1.
    """
    values = np.asarray(accuracies, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(
            f"accuracies must be (J,) with J >= 2, got {values.shape}; give one a fold"
        )
    if n_train < 1 or n_test < 1:
        raise ValueError(f"n_train and n_test must be >= 1, got {n_train} and {n_test}; count them")
    shared = n_test / n_train if corrected else 0.0
    variance = float(values.var(ddof=1)) * (1 / len(values) + shared)
    return FoldMean(float(values.mean()), math.sqrt(variance), len(values))


@dataclass(frozen=True)
class Spread:
    """How far accuracies move from one repeat to the next, with other cuts and other seeds.

    All in fractions but for `ratio` and `correlation`. Each interval is (low, high).

    Attributes:
        single: Standard deviation of one fold's accuracy: that of a single split.
        mean: Standard deviation of the mean of the K folds of a repeat.
        difference: `single - mean`.
        difference_interval: 95 % interval of it.
        ratio: `single / mean`; sqrt(K) if the folds of a repeat were independent.
        ratio_interval: 95 % interval of it.
        correlation: Of two folds of one repeat.
        repeats: R.
        folds: K.
    """

    single: float
    mean: float
    difference: float
    difference_interval: tuple[float, float]
    ratio: float
    ratio_interval: tuple[float, float]
    correlation: float
    repeats: int
    folds: int


def spread(accuracies: npt.ArrayLike, *, draws: int = 100_000) -> Spread:
    """Compare the spread of single splits with that of the means of K folds.

    The accuracies are taken as normal, exchangeable within a repeat, and independent between
    repeats. Then the mean squares between and within repeats are independent multiples of
    chi-squared variables with R - 1 and R (K - 1) degrees of freedom, also where folds correlate,
    and

        variance of a fold = (between + (K - 1) within) / K,    variance of a mean = between / K.

    The interval of the ratio is the exact one of the F distribution; that of the difference is a
    generalised one (Weerahandi 1993, J. Am. Stat. Assoc. 88, 899-905). Both are read off the same
    draws, whose seed is fixed.

    Args:
        accuracies: Fractions, shape (R, K), R >= 2 repeats of K >= 2 folds.
        draws: For the intervals.

    Raises:
        ValueError: Another shape, or accuracies that never differ.
    """
    table = np.asarray(accuracies, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        raise ValueError(
            f"accuracies must be (R, K) with R >= 2 repeats of K >= 2 folds, got {table.shape}"
        )
    repeats, folds = table.shape
    means = table.mean(axis=1)
    squares_between = folds * float(((means - means.mean()) ** 2).sum())
    squares_within = float(((table - means[:, None]) ** 2).sum())
    if squares_between == 0 or squares_within == 0:
        raise ValueError("all repeats or all folds gave the same accuracy; nothing spreads")
    free_between, free_within = repeats - 1, repeats * (folds - 1)
    rng = np.random.default_rng(0)
    drawn = _deviations(
        squares_between / rng.chisquare(free_between, draws),
        squares_within / rng.chisquare(free_within, draws),
        folds,
    )
    between, within = squares_between / free_between, squares_within / free_within
    single, mean = (float(s) for s in _deviations(np.array(between), np.array(within), folds))
    return Spread(
        single=single,
        mean=mean,
        difference=single - mean,
        difference_interval=_ends(drawn[0] - drawn[1]),
        ratio=single / mean,
        ratio_interval=_ends(drawn[0] / drawn[1]),
        correlation=(between - within) / (between + (folds - 1) * within),
        repeats=repeats,
        folds=folds,
    )


def _deviations(between: Floats, within: Floats, folds: int) -> tuple[Floats, Floats]:
    """Return the standard deviations of a fold and of a mean, from the two mean squares."""
    return np.sqrt((between + (folds - 1) * within) / folds), np.sqrt(between / folds)


def _ends(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
