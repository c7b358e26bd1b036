"""Gradients that are means over all processes: one network, trained in many places at once.

With slices of equal size the mean of the ranks' mean gradients is the mean over the batch, so each
rank takes the step that one process with the whole batch would take. PyTorch's
DistributedDataParallel does it, while the backward pass still runs (Li et al. 2020,
arXiv:2006.15704, section 3).

One thing stays a rank's own. Batch norm computes its mean and variance over the rank's slice; the
running statistics that are kept are those of rank 0. An objective that compares the images of a
batch with each other, as contrastive learning does, gathers those of all ranks.
"""

import contextlib

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.base import Objective, StepOutput
from cifar_lessons.runtime import Runtime


class _Loss(nn.Module):
    """An objective and its network as one module, which is all that PyTorch can average.

    So an objective may reach into the network as it likes, for features alone, say.
    """

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: Batch) -> StepOutput:
        """Return the objective's output for this rank's slice."""
        return self.objective(self.model, batch)


class AveragedObjective:
    """An objective whose gradients, after `backward`, are means over all ranks."""

    def __init__(self, model: nn.Module, objective: Objective, runtime: Runtime) -> None:
        """Copy rank 0's weights to all ranks, and watch the gradients from now on."""
        device = [runtime.device] if runtime.device.type == "cuda" else None
        self._averaged = DistributedDataParallel(_Loss(model, objective), device_ids=device)

    def __call__(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Return the output for this rank's slice; `model` is the one given at the start."""
        output: StepOutput = self._averaged(batch)
        return output

    def without_averaging(self) -> contextlib.AbstractContextManager[None]:
        """Return a block without averaging: the difference in time is what averaging costs."""
        return self._averaged.no_sync()


def average_gradients(objective: Objective, model: nn.Module, runtime: Runtime) -> Objective:
    """Return an objective whose gradients are means over the group, the same one when alone.

    Args:
        objective: Its loss must be a mean over the images of a batch.
        model: The network that it will be called with.
        runtime: Device and group.
    """
    if runtime.group.size == 1:
        return objective
    return AveragedObjective(model, objective, runtime)


def averaged(objective: Objective, *, now: bool) -> contextlib.AbstractContextManager[None]:
    """Return a block for a forward and backward pass whose gradients are averaged now or later.

    A batch that goes through in parts adds up gradients, and the ranks exchange them once, with the
    last part.
    """
    if now or not isinstance(objective, AveragedObjective):
        return contextlib.nullcontext()
    return objective.without_averaging()
