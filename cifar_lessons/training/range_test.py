"""The learning-rate range test: one short run at a growing rate shows which rates are worth trying.

Source: Smith (2015), arXiv:1506.01186, section 3.3, with the rate growing exponentially and not
linearly, since what matters is its order of magnitude. Too small a rate leaves the loss where it
is, a good one lowers it, too large a one throws it up. It costs a hundred steps, not a run.
"""

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from cifar_lessons.config import OptimConfig
from cifar_lessons.data.loader import Batch, TrainLoader
from cifar_lessons.errors import UserError
from cifar_lessons.objectives.base import Objective
from cifar_lessons.runtime import Runtime, stream_seed
from cifar_lessons.training.optim import build_optimizer, set_lr
from cifar_lessons.training.step import LossIsNotFinite, check_finite, train_step

DIVERGED = 4.0  # times the lowest loss so far: batches differ, but not by that much


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw: a rate and a loss for each step."""

    rates: tuple[float, ...]  # growing
    losses: tuple[float, ...]  # of a batch each, in nats, before the step at that rate
    diverged: bool  # whether it stopped early, since the loss exploded

    @property
    def smooth(self) -> npt.NDArray[np.float64]:
        """The losses as a running mean, shape (steps,).

        The window is centred: a mean of past losses alone would lag behind, and so blame a rate
        for what a smaller one did. Towards the ends it shrinks on both sides alike.
        """
        losses = np.array(self.losses)
        half = max(1, len(losses) // 20)
        reach = [min(half, i, len(losses) - 1 - i) for i in range(len(losses))]
        return np.array([losses[i - r : i + r + 1].mean() for i, r in enumerate(reach)])

    @property
    def lowest(self) -> float:
        """The rate at which the smooth loss is lowest; larger ones do harm."""
        return self.rates[int(self.smooth.argmin())]

    @property
    def suggestion(self) -> float | None:
        """The rate at which the smooth loss falls fastest, by factor of the rate, up to `lowest`.

        None where the loss never falls: it began with too large a rate, or had too few steps. It
        is a rate to begin with, not the best one: it looks at the first steps of a run alone.
        """
        end = int(self.smooth.argmin()) + 1
        if end < 3:
            return None
        slope = np.gradient(self.smooth[:end], np.log(self.rates[:end]))
        return self.rates[int(slope.argmin())] if slope.min() < 0 else None

    def chart(self) -> str:
        """Return the smooth loss as bars, a line for each rate, and what they say."""
        smooth, every = self.smooth, slice(None, None, max(1, len(self.rates) // 24))
        lines = [
            f"  {rate:9.2g}  {loss:7.3f}  {'█' * round(40 * min(loss / smooth[0], 1.5))}"
            for rate, loss in zip(self.rates[every], smooth[every], strict=True)
        ]
        if self.diverged:
            lines.append(f"stopped after {len(self.rates)} steps: the loss exploded")
        if self.suggestion is None:
            lines.append("the loss never falls: begin lower, or take more steps")
        else:
            lines.append(
                f"the loss falls fastest at a rate of {self.suggestion:.2g}, and is lowest at "
                f"{self.lowest:.2g}: begin between the two; after a warm-up the peak may be higher"
            )
        return "\n".join(lines)


def range_test(
    model: nn.Module,
    objective: Objective,
    *,
    train: TrainLoader,
    optim: OptimConfig,
    runtime: Runtime,
    micro_batch: int | None = None,
    low: float = 1e-4,
    high: float = 10.0,
    steps: int = 100,
) -> RangeTest:
    """Train a copy of `model` at a rate that grows from `low` to `high`; `model` stays as it is.

    Args:
        model: On the runtime's device.
        objective: Maps (model, batch) to a loss.
        train: The training batches; begun again where they run out.
        optim: Optimizer, momentum, weight decay and clipping; its rate and schedule are not used.
        runtime: Device and precision.
        micro_batch: See `train_step`.
        low: First rate, > 0.
        high: Last rate, above `low`. It stops before if the loss becomes `DIVERGED` times the
            lowest one so far, or is no number.
        steps: At least 10.

    Raises:
        UserError: A range that is none, or too few steps.
        LossIsNotFinite: The very first loss is none, before any step.
    """
    if not 0 < low < high < math.inf:
        raise UserError(
            f"low and high must be 0 < low < high, got {low:g} and {high:g}; try 1e-4 and 10"
        )
    if steps < 10:
        raise UserError(f"steps must be >= 10, got {steps}; 100 is usual")
    twin = copy.deepcopy(model).train()
    optimizer, scaler = build_optimizer(twin, optim), runtime.scaler()
    rates: list[float] = []
    losses: list[float] = []
    diverged = False
    for step, batch in enumerate(itertools.islice(_endless(train), steps)):
        rate = low * (high / low) ** (step / (steps - 1))
        set_lr(optimizer, rate)
        torch.manual_seed(stream_seed(train.seed, "forward", step))  # dropout, as in `fit`
        try:
            output = train_step(
                twin, batch, objective, optimizer,
                runtime=runtime, scaler=scaler, clip_norm=optim.clip_norm, micro_batch=micro_batch,
            )  # fmt: skip
            loss = float(output.loss)
            check_finite(loss)
        except LossIsNotFinite:
            if not losses:
                raise  # no rate has done anything yet
            diverged = True
            break
        rates.append(rate)
        losses.append(loss)
        if loss > DIVERGED * min(losses):
            diverged = True
            break
    return RangeTest(tuple(rates), tuple(losses), diverged)


def _endless(train: TrainLoader) -> Iterator[Batch]:
    """Yield the batches of epoch after epoch."""
    for epoch in itertools.count():
        yield from train.epoch(epoch)
