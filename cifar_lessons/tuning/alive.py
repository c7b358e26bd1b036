"""Trials whose process died: found, failed, and queued again.

A running trial beats every few seconds. One that has not for some time, by the clock of the
process that watches, is failed, and its settings are queued for whoever asks next. No two machines'
clocks are compared. Settings that end their process each time are tried three times, then dropped.
"""

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

BEAT, GRACE = 10.0, 60.0  # seconds between two beats, and without one until a trial is given up
MOST_RETRIES = 2


def fail(study: optuna.Study, number: int) -> bool:
    """Mark a running trial as failed; return False if it was not running any more."""
    try:
        study.tell(number, state=TrialState.FAIL)
    except (ValueError, UpdateFinishedTrialError):  # another process was faster
        return False
    return True


def queue_again(study: optuna.Study, trial: FrozenTrial, *, died: bool) -> None:
    """Queue the settings of a failed trial; of one that died, unless it did so too often.

    Args:
        study: Whose trial it was.
        trial: As it was when it failed.
        died: False where a person stopped it.
    """
    kept = {k: v for k, v in trial.user_attrs.items() if k in ("fixed", "label")}
    deaths = trial.user_attrs.get("deaths", 0) + died
    # One that died before its settings were drawn leaves nothing to try again.
    if deaths <= MOST_RETRIES and (trial.params or "fixed" in kept):
        study.enqueue_trial(trial.params, user_attrs={**kept, "deaths": deaths})


class Silences:
    """How long running trials have been silent, by the clock of this process."""

    def __init__(
        self, *, grace: float = GRACE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Nothing was seen yet."""
        self.grace, self.clock = grace, clock
        self._seen: dict[int, tuple[int, float]] = {}  # by trial: its last beat, and when we saw it

    def give_up(self, study: optuna.Study) -> list[int]:
        """Fail the trials that have been silent for too long; return their numbers."""
        now, given_up = self.clock(), []
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            beat = trial.user_attrs.get("beat", -1)
            last, since = self._seen.get(trial.number, (None, now))
            if beat != last:
                self._seen[trial.number] = (beat, now)
            elif now - since > self.grace and fail(study, trial.number):
                queue_again(study, trial, died=True)
                given_up.append(trial.number)
        return given_up


@contextlib.contextmanager
def beating(trial: optuna.Trial, *, every: float = BEAT) -> Iterator[None]:
    """Show, while the block runs, that this trial's process is alive."""
    done = threading.Event()

    def beat() -> None:
        for number in itertools.count():
            # A beat that cannot be written is one beat less. If the storage is gone for good,
            # the trial itself will meet the error, where someone reads it.
            with contextlib.suppress(Exception):
                trial.set_user_attr("beat", number)
            if done.wait(every):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
