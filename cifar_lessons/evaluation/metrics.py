"""What stored logits say: accuracy, confusion, likelihood, and how sure we may be of them.

Two things could have come out differently: the seed of the training run, and the test images that
someone drew. An interval that covers both treats every answer as one cell of a table, seeds by
images, with both as random effects (Searle, Casella & McCulloch 1992, Variance Components, ch. 4;
Owen 2007, "The pigeonhole bootstrap", arXiv:0712.1111). The variance of the grand mean is then

    (variance of seeds) / n  +  (variance of images) / N  +  (their interaction) / (n N).

More seeds shrink the first and last terms; the middle one stays, since all seeds share the images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Predictions:
    """The scores that a model gave to some images, and the right answers.

    Attributes:
        logits: Unnormalised scores, shape (N, K), float32; other float types are converted.
        labels: Class indices in [0, K), shape (N,), int64; other integer types are converted.

    Raises:
        ValueError: Shapes that don't belong together, NaN or infinite logits, labels out of range.
    """

    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check both arrays, then keep read-only views of the stated types."""
        logits, labels = np.asarray(self.logits), np.asarray(self.labels)
        if logits.ndim != 2 or 0 in logits.shape or logits.shape[1] < 2:
            raise ValueError(
                f"logits must be (N, K) with K >= 2, got {logits.shape}; keep all classes"
            )
        if labels.shape != logits.shape[:1]:
            raise ValueError(
                f"labels must be {logits.shape[:1]}, one for each row of logits, got "
                f"{labels.shape}; take both from one evaluation"
            )
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"labels must be whole numbers, got {labels.dtype}; use astype('int64')"
            )
        bad = np.asarray(~np.isfinite(logits).all(axis=1))
        if bad.any():
            row = int(bad.argmax())
            raise ValueError(
                f"logits hold NaN or infinity in {bad.sum()} of {len(bad)} rows (first: row {row}, "
                f"{logits[row].tolist()}); the run diverged: lower optim.peak_lr and train again"
            )
        wrong = (labels < 0) | (labels >= logits.shape[1])
        if wrong.any():
            raise ValueError(
                f"labels must lie in [0, {logits.shape[1]}), got {labels[wrong][0]} in row "
                f"{int(wrong.argmax())}; build the model with num_classes >= {labels.max() + 1}"
            )
        for name, array, dtype in (("logits", logits, np.float32), ("labels", labels, np.int64)):
            view = array.astype(dtype, copy=False).view()
            view.setflags(write=False)  # a metric must not depend on who looked first
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        """Return N, the number of images."""
        return len(self.labels)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """The class with the largest score, shape (N,); the lower index wins a tie."""
        return np.asarray(self.logits.argmax(axis=1))

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each answer is right, shape (N,)."""
        return np.asarray(self.predicted == self.labels)


def accuracy(predictions: Predictions) -> float:
    """Return the fraction of images whose largest logit is the right one, in [0, 1]."""
    return float(predictions.correct.mean())


def per_class_accuracy(predictions: Predictions) -> npt.NDArray[np.float64]:
    """Return the accuracy on the images of each class, shape (K,), in [0, 1].

    Raises:
        ValueError: A class has no image.
    """
    matrix = confusion(predictions)
    images = matrix.sum(axis=1)
    if not images.all():
        raise ValueError(
            f"class {int((images == 0).argmax())} has no image among {len(predictions)}, so it has "
            "no accuracy; evaluate on the whole split"
        )
    return np.asarray(matrix.diagonal() / images)


def confusion(predictions: Predictions) -> npt.NDArray[np.int64]:
    """Return how many images of class i were called class j, shape (K, K)."""
    from sklearn.metrics import confusion_matrix

    classes = np.arange(predictions.logits.shape[1])
    return np.asarray(confusion_matrix(predictions.labels, predictions.predicted, labels=classes))


def negative_log_likelihood(predictions: Predictions) -> float:
    """Return the mean of -log(softmax(logits)[label]), in nats; ln K is a blind guess."""
    z = predictions.logits.astype(np.float64)
    z = z - z.max(axis=1, keepdims=True)  # exp can't overflow then
    log_sum = np.log(np.exp(z).sum(axis=1))
    return float((log_sum - z[np.arange(len(z)), predictions.labels]).mean())


def wilson_interval(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a proportion, both ends in [0, 1].

    Unlike p ± 1.96 standard errors it stays inside [0, 1] and holds its level near the ends.
    Source: E. B. Wilson (1927), J. Am. Stat. Assoc. 22, 209-212.

    Raises:
        ValueError: No trials, or successes outside [0, trials].
    """
    from scipy.special import ndtri

    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(
            f"successes must lie in [0, trials] with trials >= 1, got {successes} of {trials}; "
            "count the right answers and the images"
        )
    z2 = float(ndtri(0.5 + _checked(level) / 2)) ** 2
    centre = (successes + z2 / 2) / (trials + z2)
    spread = (z2 * (successes * (trials - successes) / trials + z2 / 4)) ** 0.5 / (trials + z2)
    return max(0.0, centre - spread), min(1.0, centre + spread)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and test images, and what is known about its error.

    Attributes:
        mean: An accuracy or a difference of two, as a fraction.
        n: Seeds behind it.
        seed_variance: What more seeds would shrink: the variance of the per-seed values over n.
            0 where n is 1: one seed can't tell.
        image_variance: What only more test images would shrink.
        level: Confidence of `low` and `high`.
    """

    mean: float
    n: int
    seed_variance: float
    image_variance: float
    level: float = 0.95

    @property
    def half_width(self) -> float:
        """Half the interval, sqrt(t² seed_variance + z² image_variance), t with n - 1 degrees.

        Each part has its own quantile (S. K. Banerjee 1960, Sankhyā 22, 357-358): exact when one
        part is zero, a little wide in between (97-98 % instead of 95 at n = 3, by simulation).
        """
        return math.sqrt(self._reach(1 - _checked(self.level)))

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.mean + self.half_width

    @property
    def covers(self) -> str:
        """What the interval covers, in words."""
        return (
            "seeds and test images" if self.n > 1 else "test images only, since there is one seed"
        )

    def p_value(self, null: float = 0.0) -> float:
        """Return the smallest `1 - level` at which the interval leaves out `null`, in [0, 1]."""
        distance = (self.mean - null) ** 2
        if distance <= self._reach(1.0):
            return 1.0
        low, high = -300.0, 0.0  # powers of ten; the reach falls as p grows
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self._reach(10.0**middle) > distance else (low, middle)
        return float(10.0**high)

    def _reach(self, p: float) -> float:
        """Return the squared half-width at level 1 - p."""
        from scipy.special import ndtri, stdtrit

        reach = 0.0
        if self.image_variance:
            z = float(ndtri(p / 2))
            reach += z * z * self.image_variance
        if self.n > 1 and self.seed_variance:
            t = float(stdtrit(self.n - 1, p / 2))  # of two seeds, up to 1e300: `t**2` would raise
            reach += t * t * self.seed_variance
        return reach


def mean_interval(runs: Sequence[Predictions], *, level: float = 0.95) -> Estimate:
    """Return the mean accuracy of one recipe over seeds, with an interval for seeds and images.

    Args:
        runs: One entry a seed, all on the same test images in the same order.
        level: Confidence in (0, 1).

    Raises:
        ValueError: No runs, or runs on different images.
    """
    return two_way(_table(runs), level)


def paired_difference(
    first: Sequence[Predictions], second: Sequence[Predictions], *, level: float = 0.95
) -> Estimate:
    """Return the accuracy of `second` minus that of `first`, seed by seed and image by image.

    Pairing takes out what both share: images that are hard for everybody, and the draws of a seed.

    Args:
        first: One entry a seed.
        second: The same seeds in the same order, on the same test images.
        level: Confidence in (0, 1).

    Raises:
        ValueError: Different numbers of seeds, or different images.
    """
    _require_list(first)
    _require_list(second)
    if len(first) != len(second):
        raise ValueError(
            f"paired seeds are needed, got {len(first)} and {len(second)} runs; "
            "keep the seeds that both recipes have"
        )
    table = _table([*first, *second])
    return two_way(table[len(first) :] - table[: len(first)], level)


@dataclass(frozen=True)
class McNemar:
    """How two predictions differ on the same images: counts of images, and the exact p-value."""

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: Predictions, second: Predictions) -> McNemar:
    """Test whether two trained networks are equally good, from the images where they disagree.

    If they are, each such image is a fair coin (McNemar 1947, Psychometrika 12, 153-157). The test
    is exact and two-sided. It compares two *networks*, so it knows nothing of other seeds.

    Raises:
        ValueError: The two were made on different images.
    """
    a, b = _table([first, second]).astype(bool)
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    return McNemar(only_first, only_second, sign_test(only_first, only_second))


def sign_test(wins: int, losses: int) -> float:
    """Return the exact two-sided p-value of so many wins and losses, if each is a fair coin."""
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in the order given.

    Source: S. Holm (1979), Scand. J. Stat. 6, 65-70. Any below 0.05 may be called significant, and
    the chance of even one false call stays below 0.05.
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, (len(p_values) - rank) * p_values[index])
        corrected[index] = min(1.0, largest)
    return corrected


def require_same_images(runs: Sequence[Predictions]) -> None:
    """Raise a `ValueError` unless there are runs, all of the same images in the same order."""
    _require_list(runs)
    if not runs:
        raise ValueError("at least one run is needed, got 0; record a seed first")
    for number, run in enumerate(runs):
        if not np.array_equal(run.labels, runs[0].labels):
            raise ValueError(
                f"run {number} was scored on other images than run 0 ({len(run)} and "
                f"{len(runs[0])} images, or other labels); score all on one test set, in one order"
            )


def _require_list(runs: object) -> None:
    """Refuse one network's predictions where those of several seeds are meant."""
    if isinstance(runs, Predictions):
        raise TypeError("a list is needed, one entry a seed: [predictions] for a single network")


def _table(runs: Sequence[Predictions]) -> npt.NDArray[np.float64]:
    """Return 1.0 for a right answer and 0.0 for a wrong one, shape (runs, images)."""
    require_same_images(runs)
    return np.stack([run.correct for run in runs]).astype(np.float64)


def two_way(table: npt.NDArray[np.float64], level: float = 0.95) -> Estimate:
    """Estimate the grand mean of a table of seeds x images by a two-way analysis of variance.

    Args:
        table: Of shape (seeds, images).
        level: Confidence in (0, 1).

    Raises:
        ValueError: Fewer than two images.
    """
    _checked(level)
    n, images = table.shape
    if images < 2:
        raise ValueError(f"at least 2 images are needed, got {images}; use the whole test set")
    by_seed, by_image, mean = table.mean(axis=1), table.mean(axis=0), float(table.mean())
    image_variance, seed_variance = float(by_image.var(ddof=1)) / images, 0.0
    if n > 1:
        seed_variance = float(by_seed.var(ddof=1)) / n
        rest = table - by_seed[:, None] - by_image + mean
        interaction = float((rest**2).sum()) / ((n - 1) * (images - 1)) / (n * images)
        # The seeds' spread holds the interaction already; the images' must not count it again.
        image_variance = max(image_variance - interaction, 0.0)
    return Estimate(mean, n, seed_variance, image_variance, level)


def _checked(level: float) -> float:
    """Return `level` if it is one."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}; 0.95 is usual")
    return level
