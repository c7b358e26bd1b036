"""One optimizer step, and the only place in the library that calls `backward`.

The order is the lesson: forward in low precision, loss in float32, scale, backward, unscale,
clip, step, update, each exactly once.
"""

import math

import torch
from torch import nn
from torch.optim import Optimizer

from cifar_lessons.data.loader import Batch
from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.objectives.base import Objective, StepOutput
from cifar_lessons.runtime import Runtime


class LossIsNotFinite(FloatingPointError):
    """The loss became NaN or infinite; nothing after the last checkpoint is kept."""


def train_step(
    model: nn.Module,
    batch: Batch,
    objective: Objective,
    optimizer: Optimizer,
    *,
    runtime: Runtime,
    scaler: torch.amp.GradScaler,
    clip_norm: float | None = None,
) -> StepOutput:
    """Move the weights once against the gradient of the objective on one batch.

    Args:
        model: In training mode.
        batch: On the runtime's device.
        objective: Gives the loss.
        optimizer: Over the model's parameters, its rate already set for this step.
        runtime: Device and precision.
        scaler: Does nothing unless the precision is fp16.
        clip_norm: Largest 2-norm of all gradients together; None leaves them as they are.

    Returns:
        The output of the objective, its loss detached.

    Raises:
        LossIsNotFinite: Checked at once on a CPU by a process that trains alone. Elsewhere the
            check would wait, for the device or for the other processes, so `fit` looks less often.
    """
    with runtime.autocast():
        output = objective(model, batch)
    if runtime.device.type == "cpu" and runtime.group.size == 1:
        check_finite(output.loss.item())
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(output.loss).backward()
    if clip_norm is not None:
        scaler.unscale_(optimizer)  # before clipping: the norm is meant in true units
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    scaler.step(optimizer)
    scaler.update()
    return StepOutput(output.loss.detach(), output.metrics)


def check_finite(loss: float, group: Group = ALONE) -> None:
    """Raise `LossIsNotFinite` for NaN and infinity, on every rank where all have that loss."""
    if not math.isfinite(loss):
        raise group.told(
            LossIsNotFinite(
                f"the loss became {loss}: try a lower rate (--set optim.peak_lr=…), "
                "--set optim.clip_norm=1.0, or --precision fp32"
            )
        )
