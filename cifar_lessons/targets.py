"""When a run first reaches an accuracy: what "trains faster" can mean for a schedule.

A schedule changes no second of an epoch. It can only change how many epochs a target takes. A run
may never reach it; then all that is known is that it takes longer than the run lasted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

History = Sequence[Mapping[str, float]]  # a row an epoch, as in `history.csv`


@dataclass(frozen=True)
class Reached:
    """The first epoch, from 1, at whose end a target is reached, and the seconds until then.

    Validation is a sample, and its accuracy jumps while the rate is high. So the first epoch over
    a target may be a lucky one, and a later epoch may fall below it again.
    """

    epoch: int
    seconds: float | None = None  # of training and validation, where the history tells them


def first_reach(history: History, target: float, *, column: str = "val_accuracy") -> Reached | None:
    """Return when `column` is at least `target` for the first time, or None if it never is.

    Args:
        history: Of one run. A row without the column counts as below the target.
        target: Of an accuracy, a fraction in [0, 1].
        column: Of the history.
    """
    for row in history:
        if row.get(column, -1.0) >= target:
            return Reached(int(row["epoch"]), row.get("seconds"))
    return None


def share_saved(base: History, other: History, target: float) -> tuple[float, float] | None:
    """Return bounds of the share of epochs that `other` saves on the way to a target.

    Args:
        base: History of the run that it is compared with.
        other: History of the other run.
        target: Validation accuracy, a fraction in [0, 1].

    Returns:
        Least and most, both `1 - epochs of other / epochs of base` where both reach the target:
        0.4 is 40 % fewer epochs, and -1 twice as many. A run of n epochs that does not reach it
        takes n + 1 or more, so then one of the two is a bound and the other is infinite, or 1.
        None where neither reaches it: nothing is known.
    """
    first, second = first_reach(base, target), first_reach(other, target)
    if first and second:
        saved = 1 - second.epoch / first.epoch
        return saved, saved
    if second:
        return 1 - second.epoch / (len(base) + 1), 1.0
    if first:
        return float("-inf"), 1 - (len(other) + 1) / first.epoch
    return None
