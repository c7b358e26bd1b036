"""Do two measurements order the same things alike? Kendall's rank correlation, and how sure it is.

Source: Kendall (1938), Biometrika 30, 81-93; tau-b, which allows for ties, as in Kendall (1945),
Biometrika 33, 239-251. The interval is a percentile bootstrap over the things (Efron 1979).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Return tau-b in [-1, 1]: pairs in the same order less pairs in the opposite one.

    NaN where one side has a single value throughout.

    Raises:
        ValueError: Different lengths, or fewer than two things.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(
            f"two lists of the same things are needed, at least 2, got {len(first)} and "
            f"{len(second)}"
        )
    a, b = (np.sign(np.subtract.outer(x, x)) for x in (np.asarray(first), np.asarray(second)))
    untied = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / untied) if untied else float("nan")


def bootstrap_tau(
    first: Sequence[float], second: Sequence[float], *, draws: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Return the ends of a 95 % interval of tau, from things drawn again with replacement."""
    rng = np.random.default_rng(seed)
    x, y = np.asarray(first, float), np.asarray(second, float)
    taus: list[float] = []
    for which in rng.integers(len(x), size=(draws, len(x))):
        tau = kendall_tau(x[which], y[which])
        if not np.isnan(tau):  # a draw of one thing alone orders nothing
            taus.append(tau)
    low, high = _ends(np.array(taus))
    return low, high


def _ends(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
