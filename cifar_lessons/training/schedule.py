"""Learning-rate schedules as pure functions: a factor of the peak rate at a step.

Nothing is stepped and nothing is saved: the same step and history give the same rate, so a
resumed run needs no scheduler state. Sources: cosine, Loshchilov & Hutter (2016),
arXiv:1608.03983, equation 5 without restarts; one cycle, Smith & Topin (2017),
arXiv:1708.07120, here rising and falling linearly; plateau, as in PyTorch's ReduceLROnPlateau.
"""

import math
from collections.abc import Sequence

from cifar_lessons.config import ScheduleConfig


def lr_factor(
    schedule: ScheduleConfig,
    step: int,
    *,
    steps_per_epoch: int,
    epochs: int,
    val_losses: Sequence[float] = (),
) -> float:
    """Return what the peak learning rate is multiplied by at `step`.

    Args:
        schedule: Its name and numbers.
        step: From 0, counted over the whole run.
        steps_per_epoch: At least 1.
        epochs: Of the whole run.
        val_losses: Validation loss after each finished epoch; the plateau schedule reads it.

    Returns:
        A factor in [0, 1]. The last step of one_cycle and cosine is just above 0.
    """
    total = steps_per_epoch * epochs
    if schedule.name == "one_cycle":
        rise = schedule.warmup_share * total
        # The + 1 keeps the first step from being lost at a rate of 0.
        return min((step + 1) / (rise + 1), (total - step) / (total - rise))
    warmup = schedule.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
    if schedule.name == "step":
        passed = sum(step >= share * total for share in schedule.milestones)
        return schedule.factor**passed
    if schedule.name == "plateau":
        return plateau_factor(val_losses, patience=schedule.patience, factor=schedule.factor)
    return 1.0


def plateau_factor(val_losses: Sequence[float], *, patience: int, factor: float) -> float:
    """Return `factor ** k`, with k the times that the validation loss stood still.

    It stands still when more than `patience` epochs in a row fail to be better than the best
    by a relative 1e-4, PyTorch's default threshold.
    """
    best, waited, result = math.inf, 0, 1.0
    for loss in val_losses:
        if loss < best * (1 - 1e-4):
            best, waited = loss, 0
        else:
            waited += 1
        if waited > patience:
            result, waited = result * factor, 0
    return result
