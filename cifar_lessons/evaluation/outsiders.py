"""How sure a network is of pictures that are none of its classes, from logits alone.

It must name one of its classes, whatever it is shown. Two numbers may betray that it is lost: the
largest probability (Hendrycks & Gimpel 2017, arXiv:1610.02136, section 3), and the energy, which
also sees how large the logits are as a whole (Liu et al. 2020, arXiv:2010.03759, section 3.1).
Both are higher for what looks familiar.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def largest_probability(logits: npt.ArrayLike) -> Floats:
    """Return the largest softmax probability of each row, (N,), in [1 / K, 1].

    Args:
        logits: (N, K).
    """
    z = _rows(logits)
    z = z - z.max(axis=1, keepdims=True)  # exp can't overflow then
    return np.asarray(1 / np.exp(z).sum(axis=1))


def familiarity(logits: npt.ArrayLike, *, temperature: float = 1.0) -> Floats:
    """Return `T * log(sum(exp(logits / T)))`, (N,): the energy with the other sign.

    Args:
        logits: (N, K).
        temperature: T > 0; the source uses 1.

    Raises:
        ValueError: T is not above 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, got {temperature}; 1.0 is the source's")
    z = _rows(logits) / temperature
    most = z.max(axis=1)
    return np.asarray(temperature * (most + np.log(np.exp(z - most[:, None]).sum(axis=1))))


def auroc(inside: npt.ArrayLike, outside: npt.ArrayLike) -> float:
    """Return how often a random insider scores above a random outsider; a tie counts half.

    1.0 tells all of them apart, 0.5 none, and below that the outsiders look more familiar. It is
    the area under the ROC curve, by ranks (Mann & Whitney 1947).

    Args:
        inside: Scores of pictures of the classes, (N,), N >= 1.
        outside: Scores of others, (M,), M >= 1.

    Raises:
        ValueError: One of the two is empty.
    """
    from scipy.stats import rankdata

    a, b = (np.asarray(x, np.float64).ravel() for x in (inside, outside))
    if not len(a) or not len(b):
        raise ValueError(f"both groups need a score, got {len(a)} and {len(b)}")
    ranks = rankdata(np.concatenate([a, b]))[: len(a)]
    return float((ranks.sum() - len(a) * (len(a) + 1) / 2) / (len(a) * len(b)))


def _rows(logits: npt.ArrayLike) -> Floats:
    z = np.asarray(logits, np.float64)
    if z.ndim != 2:
        raise ValueError(f"logits must be (N, K), got {z.shape}; keep a row an image")
    return z
