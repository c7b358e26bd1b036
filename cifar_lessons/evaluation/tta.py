"""Test-time augmentation: look at an image several times, and average what the network says.

Each view is a function of whole batches; a set of views has a weight for each. Sources: the
mirror image, Krizhevsky et al. (2012, section 4.1); mirror and one pixel of shift with these
weights, Jordan (2024), arXiv:2404.00498, section 3.5; more views for unsure images alone, Hiverge
(2025, cifar10-speedrun).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_lessons.config import DataConfig, ViewsConfig
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.loader import eval_batches
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.runtime import Runtime

View = Callable[[Tensor], Tensor]  # (B, 3, H, W) -> the same shape


def flip(images: Tensor) -> Tensor:
    """Return the mirror images, left for right."""
    return images.flip(3)


def shift(images: Tensor, *, down: int, right: int) -> Tensor:
    """Return images moved by some pixels, with what lies at the border reflected into the gap."""
    size, pad = images.shape[-1], max(abs(down), abs(right))
    padded = F.pad(images, (pad,) * 4, mode="reflect")
    return padded[:, :, pad - down : pad - down + size, pad - right : pad - right + size]


def _up_left(images: Tensor) -> Tensor:
    return shift(images, down=-1, right=-1)


def _down_right(images: Tensor) -> Tensor:
    return shift(images, down=1, right=1)


# Weight of the plain image, then of each further view; they add up to 1.
VIEWS: Mapping[str, tuple[float, tuple[tuple[float, View], ...]]] = MappingProxyType(
    {
        "flip": (0.5, ((0.5, flip),)),
        "flip_shift": (
            0.25,
            (
                (0.25, flip),
                (0.125, _up_left),
                (0.125, lambda images: flip(_up_left(images))),
                (0.125, _down_right),
                (0.125, lambda images: flip(_down_right(images))),
            ),
        ),
    }
)


def least_sure(logits: np.ndarray, share: float) -> np.ndarray:
    """Return which images one look leaves least sure: their positions, ascending.

    Sure is a wide gap between the probabilities of the likeliest class and the next. Labels play
    no part in it.

    Args:
        logits: (N, K).
        share: Of the images to return, in (0, 1].
    """
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    top = np.sort(shifted / shifted.sum(axis=1, keepdims=True), axis=1)
    gap = top[:, -1] - top[:, -2]
    count = max(1, round(share * len(gap)))
    chosen: np.ndarray = np.sort(np.argsort(gap, kind="stable")[:count])
    return chosen


@torch.inference_mode()
def predict_views(
    plain: Predictions,
    model: nn.Module,
    split: Split,
    data: DataConfig,
    *,
    views: ViewsConfig,
    runtime: Runtime,
    batch_size: int = 500,
) -> Predictions:
    """Return the weighted mean of the logits of several views.

    Args:
        plain: What `predict` gave for the same model and split: it is the first view.
        model: Set to evaluation mode here, and left in it.
        split: N images.
        data: Normalisation.
        views: Which views, and of what share of the images; the others keep their plain logits.
        runtime: Device and precision.
        batch_size: Images at once.
    """
    model.eval()
    first, more = VIEWS[views.name]
    chosen = least_sure(plain.logits, views.hardest)
    total = first * plain.logits[chosen].astype(np.float32)
    start = 0
    part = split[torch.from_numpy(chosen)]
    for batch in eval_batches(part, data, batch_size=batch_size, device=runtime.device):
        for weight, view in more:
            with runtime.autocast():
                images = view(batch.images).contiguous(memory_format=torch.channels_last)
                logits = model(images).float().cpu().numpy()
            total[start : start + len(batch)] += weight * logits
        start += len(batch)
    merged = plain.logits.astype(np.float32)  # a copy
    merged[chosen] = total
    return Predictions(merged, plain.labels)
