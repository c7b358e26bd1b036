"""Supervised learning: cross-entropy against the labels.

Source of label smoothing: Szegedy et al. (2015), arXiv:1512.00567, section 7. The target gives
1 - s + s/K to the true class and s/K to every other.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import nn

from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.base import StepOutput


@dataclass(frozen=True, kw_only=True)
class SupervisedObjective:
    """Mean cross-entropy of a batch, in nats.

    Args:
        label_smoothing: s in [0, 1), the share of probability spread evenly over all classes.
    """

    label_smoothing: float = 0.0

    def __call__(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Return the loss and the training accuracy on the augmented batch."""
        logits = model(batch.images).float()  # (B, K); float32: bf16 would round the log-sum-exp
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=self.label_smoothing)
        correct = (logits.detach().argmax(1) == batch.labels).float().mean()
        return StepOutput(loss, {"accuracy": correct})
