"""From the logits of several views to one prediction: three means, and weights that are learned.

The mean of logits and the mean of log-probabilities differ by one number an image, the same for
all classes. So they predict the same, class and probability; both names are in use, so both are
here. The mean of probabilities is another thing: one view that is sure can't veto the others there.
This module needs numpy and scipy alone.
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from cifar_lessons.errors import UserError, suggest

Floats = npt.NDArray[np.floating[Any]]
Merge = Literal["logits", "probabilities", "log_probabilities"]
MERGES: tuple[Merge, ...] = get_args(Merge)
NEGLIGIBLE = 0.01  # a learned weight below this share of all is not worth a forward pass


def merge_named(name: str) -> Merge:
    """Return the mean of that name.

    Raises:
        UserError: There is none; the nearest names are offered.
    """
    for known in MERGES:
        if name == known:
            return known
    raise UserError(f"no merge {name!r}: {suggest(name, MERGES)}")


def log_softmax(logits: Floats) -> Floats:
    """Return log-probabilities, float64, of logits (…, K), of any size without overflow."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def merge(
    logits: Mapping[str, Floats], weights: Mapping[str, float], how: Merge = "logits"
) -> npt.NDArray[np.float32]:
    """Return the weighted mean of the views, as logits again.

    Args:
        logits: Of each view, (N, K); more views than have a weight may be there.
        weights: By view; they add up to 1.
        how: What is averaged. The softmax of what comes back is, for `probabilities`, the mean of
            the views' probabilities; for the others their geometric mean, normalised.

    Raises:
        ValueError: A weight for a view without logits, or weights that don't add up to 1.
    """
    lacking = [view for view in weights if view not in logits]
    if lacking or not np.isclose(sum(weights.values()), 1):
        raise ValueError(
            f"weights must add up to 1 over views among {sorted(logits)}, got {dict(weights)}"
        )
    first, *_ = weights
    if how == "probabilities":
        # The logarithm of the mean, summed as logarithms: a probability of 1e-400 is not lost.
        total = np.full(logits[first].shape, -np.inf)
        for view, weight in weights.items():
            if weight > 0:
                total = np.logaddexp(total, np.log(weight) + log_softmax(logits[view]))
        return total.astype(np.float32)
    of = log_softmax if how == "log_probabilities" else np.asarray
    total = np.zeros(logits[first].shape)
    for view, weight in weights.items():
        total += weight * of(logits[view])
    return total.astype(np.float32)


def learn(logits: Mapping[str, Floats], labels: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return the weights of the views that make the labels most likely, logits being averaged.

    The mean of `-log softmax(sum_v w_v z_v)[label]` is convex in w, so there is one best answer
    and no randomness. Weights are kept >= 0; their sum acts as a temperature, which moves no
    prediction and is divided out. Source of the idea: Shanmugam et al. (2021), arXiv:2011.11156.

    Args:
        logits: Of each view on *validation* images, (N, K). On test images it would be cheating.
        labels: (N,).

    Returns:
        Weights by view that add up to 1; views with less than a hundredth are left out. Equal ones
        where no view knows more than a blind guess.
    """
    from scipy.optimize import minimize

    views = list(logits)
    z = np.stack([logits[view] for view in views]).astype(np.float64)  # (V, N, K)
    rows = np.arange(len(labels))

    def loss(w: Floats) -> tuple[float, Floats]:
        log_p = log_softmax(np.tensordot(w, z, 1))  # (N, K)
        slope = np.tensordot(z, np.exp(log_p), 2) - z[:, rows, labels].sum(axis=1)
        return -float(log_p[rows, labels].mean()), slope / len(labels)

    start = np.full(len(views), 1 / len(views))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(views))
    # All at 0: no view is better than a blind guess, and none deserves more than another.
    share = found.x / found.x.sum() if found.x.any() else start
    kept = {v: float(s) for v, s in zip(views, share, strict=True) if s >= NEGLIGIBLE}
    return {view: weight / sum(kept.values()) for view, weight in kept.items()}
