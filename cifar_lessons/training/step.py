"""One optimizer step, and the only place in the library that calls `backward`.

The order is the lesson: forward in low precision, loss in float32, scale, backward, unscale,
clip, step, update, each exactly once.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cifar_lessons.data.loader import Batch
from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.objectives.base import Objective, StepOutput
from cifar_lessons.runtime import Runtime
from cifar_lessons.training.averaging import averaged


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
    micro_batch: int | None = None,
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
        micro_batch: Images that go through the network at once; their gradients add up to those of
            the batch. On a CPU small parts stay in its cache. Batch norm sees a part at a time.

    Returns:
        The output of the objective, its loss detached.

    Raises:
        TypeError: The objective returns no `StepOutput`.
        LossIsNotFinite: Checked at once on a CPU by a process that trains alone. Elsewhere the
            check would wait, for the device or for the other processes, so `fit` looks less often.
    """
    optimizer.zero_grad(set_to_none=True)
    outputs = []
    parts = batch.split(micro_batch)
    for number, part in enumerate(parts, start=1):
        with averaged(objective, now=number == len(parts)):
            with runtime.autocast():
                output = objective(model, part)
            if not isinstance(output, StepOutput):
                raise TypeError(
                    "an objective maps (model, batch) to a StepOutput(loss, metrics), got a "
                    f"{type(output).__name__}"
                )
            if runtime.device.type == "cpu" and runtime.group.size == 1:
                check_finite(output.loss.item())
            share = len(part) / len(batch)  # so that the mean over parts is the mean over images
            scaler.scale(output.loss if len(parts) == 1 else output.loss * share).backward()
        outputs.append(StepOutput(output.loss.detach(), output.metrics))
    if clip_norm is not None:
        scaler.unscale_(optimizer)  # before clipping: the norm is meant in true units
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    scaler.step(optimizer)
    scaler.update()
    return _mean(outputs, [len(part) for part in parts])


def _mean(outputs: Sequence[StepOutput], sizes: Sequence[int]) -> StepOutput:
    """Return the mean of parts over their images."""
    if len(outputs) == 1:
        return outputs[0]

    def mean(values: Sequence[Tensor]) -> Tensor:
        weighted = [v * n for v, n in zip(values, sizes, strict=True)]
        return torch.stack(weighted).sum() / sum(sizes)

    names = outputs[0].metrics
    metrics = {name: mean([o.metrics[name] for o in outputs]) for name in names}
    return StepOutput(mean([o.loss for o in outputs]), metrics)


def check_finite(loss: float, group: Group = ALONE) -> None:
    """Raise `LossIsNotFinite` for NaN and infinity, on every rank where all have that loss."""
    if not math.isfinite(loss):
        raise group.told(
            LossIsNotFinite(
                f"the loss became {loss}: try a lower rate (--set optim.peak_lr=…), "
                "--set optim.clip_norm=1.0, or --precision fp32"
            )
        )
