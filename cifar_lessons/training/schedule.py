"""Learning-rate schedules as pure functions: a factor of the peak rate at a step.

Nothing is stepped and nothing is saved: the same step and history give the same rate, so a
resumed run needs no scheduler state. Sources: cosine, Loshchilov & Hutter (2016),
arXiv:1608.03983, equation 5, without restarts or with cycles that double; one cycle, Smith &
Topin (2017), arXiv:1708.07120, here rising and falling linearly; plateau, as in PyTorch's
ReduceLROnPlateau.
"""

import math
from collections.abc import Sequence

from cifar_lessons.config import ScheduleConfig


def lr_factor(
    schedule: ScheduleConfig,
    step: int,
    *,
    steps_per_epoch: int,
    epochs: float,
    val_losses: Sequence[float] = (),
) -> float:
    """Return what the peak learning rate is multiplied by at `step`.

    Args:
        schedule: Its name and numbers.
        step: From 0, counted over the whole run.
        steps_per_epoch: At least 1.
        epochs: Of the whole run, or of the part of it over which a group of weights moves.
        val_losses: Validation loss after each finished epoch; the plateau schedule reads it.

    Returns:
        A factor in [0, 1]. The last step of one_cycle, linear and cosine is just above 0.
    """
    total = steps_per_epoch * epochs
    if schedule.name == "one_cycle":
        rise = schedule.warmup_share * total
        # The + 1 keeps the first step from being lost at a rate of 0.
        return min((step + 1) / (rise + 1), (total - step) / (total - rise))
    warmup = schedule.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule.name == "linear":
        return (total - step) / (total - warmup)
    if schedule.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
    if schedule.name == "cosine_restarts":
        length, since = schedule.cycle * steps_per_epoch, float(step - warmup)
        while since >= length:
            since, length = since - length, 2 * length
        wave = 0.5 * (1 + math.cos(math.pi * since / length))
        return schedule.floor + (1 - schedule.floor) * wave
    if schedule.name == "step":
        passed = sum(step >= share * total for share in schedule.milestones)
        return schedule.factor**passed
    if schedule.name == "plateau":
        return plateau_factor(val_losses, patience=schedule.patience, factor=schedule.factor)
    return 1.0


def rate_at(
    schedule: ScheduleConfig,
    step: int,
    until: float = 1.0,
    *,
    peak_lr: float,
    steps_per_epoch: int,
    epochs: int,
    val_losses: Sequence[float] = (),
) -> float:
    """Return the learning rate at `step` of weights that move over a share of the run.

    Args:
        schedule: See `lr_factor`.
        step: See `lr_factor`.
        until: Share of all steps, in (0, 1], at whose end the schedule ends for these weights.
        peak_lr: The largest rate.
        steps_per_epoch: At least 1.
        epochs: Of the whole run.
        val_losses: See `lr_factor`.

    Returns:
        The rate; 0 once the share is over.
    """
    if step >= until * epochs * steps_per_epoch:
        return 0.0
    factor = lr_factor(
        schedule,
        step,
        steps_per_epoch=steps_per_epoch,
        epochs=until * epochs,
        val_losses=val_losses,
    )
    return peak_lr * factor


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
