"""Test-time augmentation: look at an image several times, and average what the network says.

Views and their sets are in `views` and `view_sets`, the means in `merging`. More views for unsure
images alone: Hiverge (2025, cifar10-speedrun).
"""

import sys
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cifar_lessons.config import DataConfig, ViewsConfig
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.loader import eval_batches
from cifar_lessons.evaluation.merging import Merge, merge
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.evaluation.view_sets import ViewSet, view_set
from cifar_lessons.evaluation.views import VIEWS
from cifar_lessons.runtime import Runtime, layout

Logits = npt.NDArray[np.float32]


class Halves(Protocol):
    """A network in two halves, as all of `models` are."""

    head: nn.Module

    def features(self, x: Tensor) -> Tensor:
        """Return (B, D) of normalised images."""

    def eval(self) -> object:
        """Set it to evaluation mode."""


def require_halves(model: object) -> None:
    """Raise a `TypeError` for a network that is not in two halves."""
    if not hasattr(model, "features") or not hasattr(model, "head"):
        raise TypeError(
            f"the network must have `features` and `head`, as models.base.Classifier has; a "
            f"{type(model).__name__} lacks them"
        )


@torch.inference_mode()
def logits_of_views(
    model: Halves,
    split: Split,
    data: DataConfig,
    *,
    views: Sequence[str],
    runtime: Runtime,
    batch_size: int = 125,
    progress: bool = False,
) -> dict[str, Logits]:
    """Return what a network says to each of several views, so that any mean can be taken later.

    The head computes in float32 whatever the precision: bf16 logits have 8 significant bits, and
    near ties would fall by rounding, differently in each view.

    Args:
        model: Set to evaluation mode here, and left in it.
        split: N images.
        data: Normalisation.
        views: Keys of `views.VIEWS`.
        runtime: Device and precision.
        batch_size: Images at once. Small batches stay in the cache of a CPU.
        progress: Show a bar on a terminal.

    Returns:
        By view, (N, K), in the order of the split.

    Raises:
        TypeError: The network is not in two halves.
    """
    require_halves(model)
    model.eval()
    found: dict[str, list[Logits]] = {view: [] for view in views}
    total = len(views) * -(-len(split) // batch_size)
    hidden = not (progress and sys.stderr.isatty())
    with tqdm(total=total, unit="batch", dynamic_ncols=True, disable=hidden) as bar:
        for batch in eval_batches(split, data, batch_size=batch_size, device=runtime.device):
            for view in views:
                images = VIEWS[view](batch.images).contiguous(memory_format=layout(runtime.device))
                with runtime.autocast():
                    features = model.features(images)
                found[view].append(model.head(features.float()).cpu().numpy())
                bar.update()
    return {view: np.concatenate(parts) for view, parts in found.items()}


def predict_set(
    model: Halves,
    split: Split,
    data: DataConfig,
    *,
    views: str | ViewSet,
    merged: Merge = "logits",
    runtime: Runtime,
    batch_size: int = 125,
    progress: bool = False,
) -> Predictions:
    """Return the predictions of a network that looks at each image in all views of a set.

    Args:
        model: Set to evaluation mode here, and left in it.
        split: N images.
        data: Normalisation.
        views: A set, or its name in `view_sets.VIEW_SETS`.
        merged: What is averaged; see `merging.merge`.
        runtime: Device and precision.
        batch_size: Images at once.
        progress: Show a bar on a terminal.

    Raises:
        UserError: No such set; the nearest names are offered.
    """
    weights = (view_set(views) if isinstance(views, str) else views).weights
    logits = logits_of_views(
        model,
        split,
        data,
        views=list(weights),
        runtime=runtime,
        batch_size=batch_size,
        progress=progress,
    )
    return Predictions(merge(logits, weights, merged), split.labels.cpu().numpy())


# --- As a recipe asks for it -----------------------------------------------------------------


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
    (_, first), *more = view_set(views.name).weights.items()
    chosen = least_sure(plain.logits, views.hardest)
    total = first * plain.logits[chosen].astype(np.float32)
    start = 0
    part = split[torch.from_numpy(chosen)]
    for batch in eval_batches(part, data, batch_size=batch_size, device=runtime.device):
        for view, weight in more:
            with runtime.autocast():
                images = VIEWS[view](batch.images).contiguous(memory_format=layout(runtime.device))
                logits = model(images).float().cpu().numpy()
            total[start : start + len(batch)] += weight * logits
        start += len(batch)
    merged = plain.logits.astype(np.float32)  # a copy
    merged[chosen] = total
    return Predictions(merged, plain.labels)
