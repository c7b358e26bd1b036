"""A smooth guess at the accuracy between the trials of a search, with its uncertainty.

A Gaussian process (Rasmussen & Williams 2006, ch. 2) over the positions of the settings on their
search scales. Its noise is what seeds do to a run; trials that were stopped early are taken in at
an estimate of where they would have ended, with the error of that estimate as their noise. So the
poor regions are not empty, as they would be if complete trials alone were used.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cifar_lessons.tuning.space import Range, Settings
from cifar_lessons.tuning.trials import Trial, Tuning, complete, counted, noise

Floats = npt.NDArray[np.float64]
FEWEST = 8  # trials without which there is no surface
DEEPEST = 0.3  # below the best by more counts as that much: a cliff would bend the whole surface
GUESSED_NOISE = 0.005  # standard deviation of a run where no repeats tell it


Kind = Literal["complete", "stopped", "diverged"]


@dataclass(frozen=True)
class Point:
    """A trial with its accuracy at the end, or an estimate of it."""

    settings: Settings
    accuracy: float
    sd: float  # of the estimate; 0 where the trial is complete
    kind: Kind


def points(trials: Sequence[Trial], epochs: int) -> list[Point]:
    """Return every trial that counts with its accuracy after the last epoch.

    For a trial stopped after epoch e, a line through the complete trials' accuracies at e and at
    the end is fitted, with their scatter as the error. The complete trials are the better ones, so
    this is a guess for the others; it is drawn apart. A diverged trial counts as `DEEPEST` below
    the best.

    Args:
        trials: Of a search.
        epochs: Of a complete trial.
    """
    done = complete(trials)
    if not done:
        return []
    floor = max(t.accuracy for t in done) - DEEPEST
    found = []
    for t in counted(trials):
        if t.state == "complete":
            found.append(Point(t.settings, max(t.accuracy, floor), 0.0, "complete"))
        elif t.state == "diverged" or not t.values:
            found.append(Point(t.settings, floor, 0.02, "diverged"))
        else:
            end, sd = _extrapolated(t.values, [d.values for d in done if len(d.values) == epochs])
            found.append(Point(t.settings, max(end, floor), sd, "stopped"))
    return found


def _extrapolated(
    values: Sequence[float], curves: Sequence[Sequence[float]]
) -> tuple[float, float]:
    """Return where a curve that stops early ends, by those that don't, and the error."""
    at, end = len(values) - 1, np.array([c[-1] for c in curves])
    early = np.array([c[at] for c in curves])
    if len(curves) < 4 or np.ptp(early) == 0:
        return values[-1], 0.05
    slope, start = np.polyfit(early, end, 1)
    scatter = float(np.std(end - (start + slope * early), ddof=2))
    slope = max(float(slope), 0.0)  # a better start never means a worse end
    return float(end.mean() + slope * (values[-1] - early.mean())), max(scatter, 0.005)


class Surface:
    """The fitted Gaussian process."""

    def __init__(self, tuning: Tuning) -> None:
        """Fit it to a recorded search.

        Raises:
            ValueError: Fewer than `FEWEST` trials.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel

        self.space = tuning.space
        self.points = points(tuning.trials, tuning.epochs)
        if len(self.points) < FEWEST:
            raise ValueError(
                f"a surface needs {FEWEST} trials, got {len(self.points)}; search longer"
            )
        x = np.array([self.position(p.settings) for p in self.points])
        y = np.array([p.accuracy for p in self.points])
        own = noise(tuning.repeats) or GUESSED_NOISE
        self.centre, self.scale = float(y.mean()), float(y.std()) or 1.0
        sd = np.sqrt(own**2 + np.array([p.sd for p in self.points]) ** 2)
        # One length a setting: along one that does not matter, the surface may be flat.
        kernel = ConstantKernel(1.0, (0.1, 20.0)) * RBF([0.5] * len(self.space), (0.1, 10.0))
        self._process = GaussianProcessRegressor(
            kernel, alpha=(sd / self.scale) ** 2, n_restarts_optimizer=2, random_state=0
        )
        with warnings.catch_warnings():
            # A length at its bound is a finding (a flat direction), no fault.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._process.fit(x, (y - self.centre) / self.scale)

    def position(self, settings: Settings) -> list[float]:
        """Return where settings lie on the search scales, each from 0 to 1."""
        return [r.position(settings[r.field]) for r in self.space]

    def __call__(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the mean accuracy of a run and its standard error.

        Args:
            x: Positions, shape (N, number of settings).

        Returns:
            Mean and standard error, shape (N,): fractions. The error is that of the surface; a
            single run scatters around it besides.
        """
        mean, sd = self._process.predict(x, return_std=True)
        return self.centre + self.scale * mean, self.scale * sd

    def along(self, r: Range, at: Settings, steps: int = 60) -> tuple[Floats, Floats, Floats]:
        """Return values of one setting, and mean and error there while the others stay.

        Args:
            r: The setting that moves.
            at: Where the others are held.
            steps: Number of values.
        """
        t = np.linspace(0, 1, steps)
        x = np.tile(self.position(at), (steps, 1))
        x[:, self.space.index(r)] = t
        return np.array([r.value(float(p)) for p in t]), *self(x)

    def slice(self, across: Range, up: Range, at: Settings, steps: int = 40) -> dict[str, Any]:
        """Return a grid over two settings while the others stay.

        Returns:
            `x` and `y`, the values of both settings (steps,); `mean` and `sd`, (steps, steps) with
            a row for each y.
        """
        t = np.linspace(0, 1, steps)
        x = np.tile(self.position(at), (steps * steps, 1))
        x[:, self.space.index(across)] = np.tile(t, steps)
        x[:, self.space.index(up)] = np.repeat(t, steps)
        mean, sd = self(x)
        values = {
            name: np.array([r.value(float(p)) for p in t]) for name, r in (("x", across), ("y", up))
        }
        return {**values, "mean": mean.reshape(steps, -1), "sd": sd.reshape(steps, -1)}


def running_best(trials: Sequence[Trial]) -> Floats:
    """Return the best accuracy among the first k trials that count, for each k; shape (K,).

    A trial that was stopped early counts with its last value, and a diverged one with 0: neither
    can be the best.
    """
    found = [t.accuracy for t in counted(trials)]
    return np.maximum.accumulate(np.array(found)) if found else np.zeros(0)


def shuffled_best(
    trials: Sequence[Trial], *, orders: int = 1_000, seed: int = 0
) -> Mapping[str, Floats]:
    """Return what `running_best` would be if the same trials came in a random order.

    Returns:
        `mean`, and `low` and `high` between which nine orders of ten lie; shape (K,).
    """
    found = np.array([t.accuracy for t in counted(trials)])
    rng = np.random.default_rng(seed)
    curves = np.array([np.maximum.accumulate(rng.permutation(found)) for _ in range(orders)])
    low, high = np.quantile(curves, [0.05, 0.95], axis=0)
    return {"mean": curves.mean(axis=0), "low": low, "high": high}
