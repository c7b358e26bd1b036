"""What features are worth: a vote of the nearest neighbours, and a linear classifier on top.

Neither moves the network. Sources: the weighted vote, Wu et al. (2018), arXiv:1805.01978, section
3.4; the linear probe, Alain & Bengio (2016), arXiv:1610.01644.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from cifar_lessons.config import DataConfig
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.loader import eval_batches
from cifar_lessons.evaluation.metrics import Predictions, accuracy
from cifar_lessons.runtime import Runtime

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

NEIGHBOURS = 200  # that vote
TEMPERATURE = 0.1  # a vote weighs exp(cosine / this)
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # of the penalty on a linear probe's weights
BLIND = 1e-4  # share of the votes that every class gets, so that a logarithm is finite


@torch.inference_mode()
def features(
    encoder: Any, split: Split, data: DataConfig, *, runtime: Runtime, batch_size: int = 500
) -> Floats:
    """Return what an encoder sees in all images of a split, (N, D) float32, in its order.

    Where several processes work together, each takes its share of the batches, as in `predict`.

    Args:
        encoder: With a method `features`; set to evaluation mode here, and left in it.
        split: N images, shown at 32 pixels and not augmented.
        data: Normalisation.
        runtime: Device, precision and group.
        batch_size: Images at once.

    Raises:
        TypeError: The encoder has no method `features`.
    """
    if not hasattr(encoder, "features"):
        raise TypeError(
            f"the network must have a method `features`, as models.base.Classifier has; a "
            f"{type(encoder).__name__} has none"
        )
    encoder.eval()
    share = runtime.group.share(-(-len(split) // batch_size))
    mine = split[slice(share.start * batch_size, share.stop * batch_size)]
    rows = []
    for batch in eval_batches(mine, data, batch_size=batch_size, device=runtime.device):
        with runtime.autocast():
            rows.append(encoder.features(batch.images).float().cpu().numpy())
    found: Floats = np.concatenate([r for part in runtime.group.gather(rows) for r in part])
    return found


# --- Nearest neighbours ----------------------------------------------------------------------


def nearest(bank: Floats, queries: Floats, *, count: int) -> tuple[Labels, Floats]:
    """Return which rows of the bank are nearest to each query, and their cosines.

    Args:
        bank: Features to search, (N, D).
        queries: (Q, D).
        count: k, at most N.

    Returns:
        Positions (Q, k), the nearest first, and cosines (Q, k).
    """
    unit = F.normalize(torch.from_numpy(bank), dim=1)
    found = [
        (F.normalize(part, dim=1) @ unit.mT).topk(count, dim=1)
        for part in torch.from_numpy(queries).split(500)
    ]
    return (
        torch.cat([f.indices for f in found]).numpy(),
        torch.cat([f.values for f in found]).numpy(),
    )


def knn(
    bank: Floats,
    labels: Labels,
    queries: Floats,
    truth: Labels,
    *,
    classes: int,
    neighbours: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> Predictions:
    """Return how the nearest labelled images vote: logarithms of the classes' shares.

    Args:
        bank: Features of the labelled images, (N, D).
        labels: Their classes, (N,).
        queries: Features of the images asked about, (Q, D).
        truth: Their classes, (Q,); they do not vote.
        classes: K.
        neighbours: That vote; all N where there are fewer.
        temperature: Each vote weighs exp(cosine / temperature).

    Raises:
        ValueError: Fewer than one neighbour, a temperature that is none, or an empty bank.
    """
    if neighbours < 1 or temperature <= 0 or not len(bank):
        raise ValueError(
            f"a vote needs labelled images, neighbours >= 1 and a temperature > 0, got "
            f"{len(bank)}, {neighbours} and {temperature}; try 200 and 0.1"
        )
    where, cosines = nearest(bank, queries, count=min(neighbours, len(bank)))
    # The largest cosine is taken off first: it cancels in the shares, and nothing overflows.
    weights = np.exp((cosines - cosines[:, :1]) / temperature)
    votes = np.zeros((len(queries), classes))
    np.add.at(votes, (np.arange(len(queries))[:, None], labels[where]), weights)
    shares = votes / votes.sum(axis=1, keepdims=True)
    return Predictions(np.log(shares * (1 - classes * BLIND) + BLIND).astype(np.float32), truth)


# --- A linear classifier -----------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """A linear classifier on features that are brought to mean 0 and deviation 1 first.

    Shapes: mean and scale (D,), weight (K, D), bias (K,).
    """

    mean: Floats
    scale: Floats
    weight: Floats
    bias: Floats
    strength: float  # of the penalty that was chosen

    def __call__(self, rows: Floats, labels: Labels) -> Predictions:
        """Return the logits of features (N, D), with the labels (N,) beside them."""
        logits = ((rows - self.mean) / self.scale) @ self.weight.T + self.bias
        return Predictions(logits.astype(np.float32), labels)


def fit_probe(rows: Floats, labels: Labels, *, strength: float) -> Probe:
    """Return the logistic regression that minimises mean loss + strength / 2 * squared weights.

    Args:
        rows: Features, (N, D).
        labels: Classes 0 to K-1, each of which must be there, (N,).
        strength: > 0.
    """
    from sklearn.linear_model import LogisticRegression

    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    scale: Any = np.where(deviation > 1e-6, deviation, 1.0)  # a number that never moves stays 0
    # scikit-learn sums the loss and weighs it by C.
    model = LogisticRegression(C=1 / (strength * len(rows)), max_iter=1_000, tol=1e-4)
    model.fit(((rows - mean) / scale).astype(np.float64), labels)
    weight: Any = np.asarray(model.coef_)
    bias: Any = np.asarray(model.intercept_)
    if len(weight) == 1:  # of two classes scikit-learn keeps the second alone
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    mean, scale, weight, bias = (a.astype(np.float32) for a in (mean, scale, weight, bias))
    return Probe(mean, scale, weight, bias, strength)


def choose_probe(
    train: tuple[Floats, Labels],
    val: tuple[Floats, Labels],
    *,
    strengths: Sequence[float] = STRENGTHS,
) -> Probe:
    """Return the probe whose penalty is best on validation; of equals, the strongest penalty.

    Args:
        train: Features (N, D) and labels (N,) to fit.
        val: To choose by.
        strengths: To try, each > 0.
    """
    fitted = [fit_probe(*train, strength=s) for s in sorted(strengths, reverse=True)]
    return max(fitted, key=lambda probe: accuracy(probe(*val)))
