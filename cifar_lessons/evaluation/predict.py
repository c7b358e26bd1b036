"""From a model and a split to `Predictions`, in the order of the split."""

import numpy as np
import torch
from torch import nn

from cifar_lessons.config import DataConfig
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.loader import eval_batches
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.runtime import Runtime


@torch.inference_mode()
def predict(
    model: nn.Module,
    split: Split,
    data: DataConfig,
    *,
    runtime: Runtime,
    batch_size: int = 500,
) -> Predictions:
    """Return the logits of all images of a split, in its order, on every rank.

    Where several processes work together, each takes its share of the *batches*, and none is
    padded: every batch is one that a single process would make too. So logits, and every metric
    of them, are the same at any number of processes, byte for byte at the same number of threads.

    Args:
        model: Set to evaluation mode here, and left in it.
        split: N images.
        data: Normalisation; nothing is augmented.
        runtime: Device, precision and group. For logits that are stored, use fp32: bf16 rounds them
            to 8 significant bits, which makes ties.
        batch_size: Images at once; the result does not depend on it beyond rounding.

    Raises:
        FloatingPointError: The network gives NaN or infinity: its training diverged.
    """
    model.eval()
    batches = runtime.group.share(-(-len(split) // batch_size))
    mine = split[slice(batches.start * batch_size, batches.stop * batch_size)]
    logits = []
    for batch in eval_batches(mine, data, batch_size=batch_size, device=runtime.device):
        with runtime.autocast():
            logits.append(model(batch.images).float().cpu().numpy())
    # The ranks' shares follow each other, so in the order of ranks they are the whole split.
    found = np.concatenate([rows for part in runtime.group.gather(logits) for rows in part])
    if not np.isfinite(found).all():
        raise runtime.group.told(
            FloatingPointError(
                f"the network gives NaN or infinity for {(~np.isfinite(found)).any(axis=1).sum()} "
                f"of {len(found)} images: train it with a lower rate (--set optim.peak_lr=…) or "
                "--set optim.clip_norm=1.0"
            )
        )
    return Predictions(found, split.labels.cpu().numpy())
