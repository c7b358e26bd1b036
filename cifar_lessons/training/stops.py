"""When a run saves and when it stops: asked after every step, answered alike on all ranks.

A process alone looks at its clock and its signals. Several must agree: a rank that stopped by
itself would leave the others waiting for its gradients. They exchange a few numbers about twice a
second, so that it costs next to nothing whether a step takes a millisecond or a second.
"""

import time
from dataclasses import dataclass

from torch import Tensor

from cifar_lessons.distributed import Group
from cifar_lessons.training.checkpoint import StopRequest
from cifar_lessons.training.step import check_finite

MEET_EVERY = 0.5  # seconds between two exchanges, as rank 0 plans them


@dataclass(frozen=True)
class Pause:
    """A moment to save at, and why to stop there, if that is asked for."""

    stopped_by: str = ""  # "signal", "deadline" or ""


class Stops:
    """Decides after a step or an epoch whether to save and whether to stop."""

    def __init__(
        self, request: StopRequest, *, group: Group, deadline: float | None, save_every: float
    ) -> None:
        """Start the clock.

        Args:
            request: Whether this process was asked to stop; one rank's request stops all.
            group: Who must agree.
            deadline: `time.monotonic()` after which to stop; rank 0's counts.
            save_every: Seconds between two checkpoints, by rank 0's clock.
        """
        self.request, self.group, self.deadline = request, group, deadline
        self.save_every = save_every
        self._saved_at = self._met_at = time.monotonic()
        self._steps, self._until = 0, 1  # steps since the last exchange, and at the next one

    def after_step(self, loss: Tensor | float) -> Pause | None:
        """Return a pause if it is time to save, and None nearly always.

        Args:
            loss: Of this rank, summed up so far.

        Raises:
            LossIsNotFinite: It is not, on any rank. A process alone does not look here.
        """
        self._steps += 1
        if self.group.size > 1 and self._steps < self._until:
            return None
        stopped_by, due = self._ask(loss)
        return Pause(stopped_by) if stopped_by or due else None

    def after_epoch(self) -> Pause:
        """Return the pause that every epoch ends with."""
        return Pause(self._ask(0.0)[0])

    def saved(self) -> None:
        """Note that a checkpoint was written."""
        self._saved_at = time.monotonic()

    def _ask(self, loss: Tensor | float) -> tuple[str, bool]:
        """Return why to stop, and whether a checkpoint is due."""
        now = time.monotonic()
        signal = bool(self.request)
        late = self.deadline is not None and now > self.deadline
        due = now - self._saved_at > self.save_every
        if self.group.size > 1:
            own = [signal, float(loss)]
            led = [late, due, self._plan(now)] if self.group.leader else [0, 0, 0]
            asked, total, *answers = self.group.total([*own, *led])
            check_finite(total, self.group)
            signal, late, due = asked > 0, answers[0] > 0, answers[1] > 0
            self._steps, self._until, self._met_at = 0, int(answers[2]), now
        return ("signal" if signal else "deadline" if late else ""), due

    def _plan(self, now: float) -> int:
        """Return after how many steps to meet again, from how long the last ones took."""
        a_step = max(now - self._met_at, 1e-6) / max(self._steps, 1)
        return min(max(round(min(MEET_EVERY, self.save_every) / a_step), 1), 1000)
