"""What an objective is: a function of a model and a batch."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from cifar_lessons.data.loader import Batch


@dataclass(frozen=True)
class StepOutput:
    """What one forward pass gives.

    `loss` is a float32 scalar that carries the gradient. `metrics` are detached scalars, `loss`
    among them, each a mean over the batch; `fit` averages them over an epoch, weighted by images.
    """

    loss: Tensor
    metrics: dict[str, Tensor]


class Objective(Protocol):
    """Supervised learning, distillation and contrastive learning differ in this alone."""

    def __call__(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Return the loss of `model` on `batch`."""
        ...
