"""What an objective is: a function of a model and a batch."""

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from cifar_lessons.data.loader import Batch


@dataclass(frozen=True)
class StepOutput:
    """What one forward pass gives.

    `loss` is a float32 scalar that carries the gradient. `metrics` are detached scalars, each a
    mean over the batch; `fit` averages them over an epoch, weighted by images. The loss joins them
    by itself.
    """

    loss: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Add the loss to the metrics."""
        told = {"loss": self.loss.detach(), **self.metrics}
        for name, value in told.items():
            if not isinstance(value, Tensor) or value.numel() != 1:
                raise TypeError(
                    f"the metric {name!r} must be a tensor of one number, got {value!r}"
                )
        object.__setattr__(self, "metrics", told)


class Objective(Protocol):
    """Supervised learning, distillation and contrastive learning differ in this alone."""

    def __call__(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Return the loss of `model`, which is in training mode, on `batch`."""
        ...
