"""A search, and the repeats after it: trials are trained until enough are finished.

Each trial is the recipe with its settings put in, trained by the one training loop on data that
lie in memory once. Validation accuracy after each epoch is all that is looked at: the test split
is taken out of the data before the first trial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from cifar_lessons.errors import UserError
from cifar_lessons.tuning.alive import fail
from cifar_lessons.tuning.space import SPACE, Range, Settings
from cifar_lessons.tuning.storage import explained, quiet
from cifar_lessons.tuning.study import (
    FINISHED,
    STARTUP,
    is_surplus,
    processes_of,
    suggest,
    trials_of,
)
from cifar_lessons.tuning.trials import Repeats, Trial, best
from cifar_lessons.tuning.worker import Chosen, Workplace, work

# Trial k trains from seed 1000 + k: each from its own, so that no seed's luck is tuned to. Repeats
# take the seeds from 0 on, which had no part in choosing.
FIRST_SEED = 1_000


@dataclass
class Found:
    """What there is when a search or its repeats stop."""

    trials: list[Trial] = field(default_factory=list)
    stopped_by: str = ""  # "deadline", "signal" or "", when all that was asked for is finished
    repeats: list[Repeats] = field(default_factory=list)
    processes: list[dict[str, Any]] = field(default_factory=list)  # provenance of each

    @property
    def best(self) -> Trial | None:
        """Return the complete trial with the highest validation accuracy."""
        return best(self.trials)


def search(
    place: Workplace,
    *,
    trials: int,
    space: Sequence[Range] = SPACE,
    seed: int = 0,
    name: str = "",
    startup: int = STARTUP,
) -> Found:
    """Train trials until that many of the study are finished, by whichever process.

    Args:
        place: Recipe, data and machine.
        trials: In all, those of earlier sittings and of other processes included. Complete,
            pruned and diverged ones count; failed ones do not.
        space: What may change, and how far.
        seed: Of the search. A study that one process works on alone, and that is never stopped
            within a trial, is the same for the same seed, on the same CPU.
        name: Of the study; the recipe's without.
        startup: Trials drawn at random before the sampler and the pruner start.

    Raises:
        UserError: A value out of range, a storage that can't be reached, or a study of
            something else.
    """
    if trials < 1:
        raise UserError(f"--trials must be >= 1, got {trials}; try --trials 48")
    if seed < 0:
        raise UserError(f"--seed must be >= 0, got {seed}; try --seed 0")

    def choose(study: optuna.Study, trial: optuna.Trial) -> Chosen | None:
        if is_surplus(study, trial.number, trials):
            return None
        return suggest(trial, space), FIRST_SEED + trial.number

    with quiet(), explained(place.storage):
        study = place.open(name or place.recipe.name, space=space, seed=seed, startup=startup)
        stopped = work(study, place, wanted=trials, choose=choose)
        return Found(trials_of(study), stopped, processes=processes_of(study))


def repeat(place: Workplace, arms: Mapping[str, Settings], *, seeds: int, name: str = "") -> Found:
    """Train each of some settings from seeds 0 to `seeds - 1`, to see how far chance moves them.

    They are kept in a study of their own, so that they too are continued and shared.

    Args:
        place: Recipe, data and machine.
        arms: Settings by label.
        seeds: Runs for each.
        name: Of the search; its repeats stand beside it.

    Raises:
        UserError: As `search`; or some settings killed their process again and again.
    """
    if seeds < 1:
        raise UserError(f"--repeat must be >= 1, got {seeds}; try --repeat 5")
    wanted = [(label, settings, k) for k in range(seeds) for label, settings in arms.items()]

    def asked_for(trial: FrozenTrial) -> bool:
        fixed = trial.user_attrs.get("fixed")
        return fixed is not None and any(fixed == _fixed(s, k) for _, s, k in wanted)

    def choose(study: optuna.Study, trial: optuna.Trial) -> Chosen | None:
        if (fixed := trial.user_attrs.get("fixed")) is not None:
            # Two processes that began at once have both queued it: the first one counts.
            taken = study.get_trials(deepcopy=False, states=(*FINISHED, TrialState.RUNNING))
            if any(t.user_attrs.get("fixed") == fixed for t in taken if t.number < trial.number):
                return None
            return fixed["settings"], fixed["seed"]
        alive = (TrialState.RUNNING, TrialState.WAITING)
        if not [t for t in study.get_trials(states=alive) if t.number != trial.number]:
            fail(study, trial.number)
            raise UserError(
                "some repeats ended their process again and again and were dropped; look at what "
                "they said, then give the repeats another study with --study"
            )
        return None  # another process took the last one that was queued

    with quiet(), explained(place.storage):
        study = place.open(f"{name or place.recipe.name}, repeated", prune=False)
        known = [t.user_attrs.get("fixed") for t in study.get_trials(deepcopy=False)]
        for label, settings, k in wanted:
            if (fixed := _fixed(settings, k)) not in known:
                study.enqueue_trial({}, user_attrs={"fixed": fixed, "label": label})
        stopped = work(study, place, wanted=len(wanted), choose=choose, counts=asked_for)
        trials = [t for t in trials_of(study) if t.state != "failed"]
        processes = processes_of(study)
    repeats = []
    for label, settings in arms.items():
        of_arm = {t.seed: t.accuracy for t in trials if t.settings == settings and t.seed < seeds}
        if of_arm:
            repeats.append(Repeats(label, settings, dict(sorted(of_arm.items()))))
    return Found(trials, stopped, repeats, processes)


def _fixed(settings: Settings, seed: int) -> dict[str, Any]:
    return {"settings": dict(settings), "seed": seed}
