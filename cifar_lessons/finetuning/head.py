"""The new head first, on features that stay as they are: a convex problem with one answer.

Were everything trained at once, the random head would send large gradients through the network and
spoil what it has learned. Source: Kumar et al. (2022), "Fine-Tuning can Distort Pretrained Features
and Underperform Out-of-Distribution", arXiv:2202.10054, section 3: linear probing first.
"""

import warnings

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cifar_lessons.config import DataConfig
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.loader import eval_batches
from cifar_lessons.models import Classifier
from cifar_lessons.runtime import Runtime

Floats = npt.NDArray[np.float64]
LEAST = 0.05  # spread of a feature, in units of the mean one
STRENGTH = 0.1  # sklearn's C, the inverse of the penalty on standardised features; never chosen


@torch.inference_mode()
def features(
    model: Classifier, split: Split, data: DataConfig, *, runtime: Runtime
) -> npt.NDArray[np.float32]:
    """Return what the network sees in each picture, (N, D), in evaluation mode."""
    model.eval()
    batches = eval_batches(split, data, batch_size=500, device=runtime.device)
    found = [model.features(batch.images).float().cpu().numpy() for batch in batches]
    return np.concatenate(found)


def fit_head(
    seen: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    *,
    classes: int,
    bias: bool = True,
) -> tuple[Floats, Floats]:
    """Return weights (K, D) and bias (K,) of a logistic regression on features.

    Features are standardised before, and the answer is turned back to plain ones.

    Args:
        seen: Features, (N, D).
        labels: In [0, K), each at least once, (N,).
        classes: K >= 2.
        bias: False leaves the bias at 0, for a head that has none.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    plain = seen.astype(np.float64)
    mean = plain.mean(0) if bias else np.zeros(plain.shape[1])
    scale = plain.std(0)
    # A feature that hardly moves here would get a huge weight, and move once training begins.
    scale = np.maximum(scale, max(LEAST * scale.mean(), 1e-12))
    fitted = LogisticRegression(C=STRENGTH, max_iter=500, fit_intercept=bias)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough: training goes on
        fitted.fit((plain - mean) / scale, labels)
    weights, offset = fitted.coef_, np.broadcast_to(fitted.intercept_, len(fitted.coef_))
    if classes == 2:  # one row, the logit of the second class: half of it for, half against
        weights, offset = (np.concatenate([-v, v]) / 2 for v in (weights, offset))
    weights = weights / scale
    return weights, offset - weights @ mean


def set_head(model: Classifier, weights: Floats, bias: Floats) -> None:
    """Write an answer of `fit_head` into the last linear layer of a network."""
    *_, last = (module for module in model.head.modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(weights))
        if last.bias is not None:
            last.bias.copy_(torch.from_numpy(bias))


def has_bias(model: Classifier) -> bool:
    """Return whether the last linear layer of a network has a bias."""
    *_, last = (module for module in model.head.modules() if isinstance(module, nn.Linear))
    return last.bias is not None
