"""A search as Optuna keeps it: whose it is, and which of its trials count.

Several processes may work on one study. None of them leads: each asks for a trial, trains it,
tells the result. All together they train exactly N trials: numbers are unique, so among trials
that began at the same moment those with the lowest numbers count, and a process that finds N
others before its own gives it back.
"""

from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from cifar_lessons.config import Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.fields import differences, to_dict
from cifar_lessons.tuning.sampler import NumberedTPE
from cifar_lessons.tuning.space import Range, Settings, space_differences, to_json
from cifar_lessons.tuning.trials import State, Trial

SCHEMA = 1
STARTUP = 10  # trials drawn at random, before the sampler and the pruner trust what they saw
PROCESS = "process "  # begins the name under which a process keeps its provenance
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def identity(
    recipe: Recipe, *, space: Sequence[Range], seed: int, data_digest: str
) -> dict[str, Any]:
    """Return what two processes must agree on to share a study, ready for JSON."""
    return {
        "schema": SCHEMA,
        "recipe": to_dict(recipe),
        "space": to_json(space),
        "seed": seed,
        "data": data_digest,
    }


def pruner(epochs: int, startup: int = STARTUP) -> BasePruner:
    """Return what stops hopeless trials: below the median, from the middle of the run on.

    Not earlier: under a one-cycle schedule a high rate looks worse than a low one until the rate
    falls, so an early median would prefer low rates.
    """
    return MedianPruner(n_startup_trials=startup, n_warmup_steps=(epochs + 1) // 2)


def open_study(
    storage: BaseStorage,
    name: str,
    *,
    recipe: Recipe,
    space: Sequence[Range] = (),
    seed: int = 0,
    data_digest: str,
    where: str,
    startup: int = STARTUP,
    prune: bool = True,
) -> optuna.Study:
    """Return the study of that name, made if it is not there.

    Args:
        storage: From `open_storage`.
        name: Of the study within the storage.
        recipe: What is tuned.
        space: Where.
        seed: Of the search.
        data_digest: Of the data, as `Cifar.digest`.
        where: What the user typed for the storage, for messages.
        startup: See `STARTUP`.
        prune: Stop hopeless trials early.

    Raises:
        UserError: There is such a study, of something else; the message says what differs.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        sampler=NumberedTPE(seed=seed, startup=startup),
        pruner=pruner(recipe.epochs, startup) if prune else NopPruner(),
    )
    mine = identity(recipe, space=space, seed=seed, data_digest=data_digest)
    theirs = study.user_attrs.get("identity")
    mend = "choose another name with --study, or another --storage"
    if theirs is None:
        if study.get_trials(deepcopy=False):
            raise UserError(f"study {name!r} in {where} was not made by cifar-lessons; {mend}")
        study.set_user_attr("identity", mine)
        theirs = study.user_attrs["identity"]  # of the last of two that begin at once
    if theirs.get("schema") != SCHEMA:
        raise UserError(
            f"study {name!r} in {where} has schema {theirs.get('schema')!r}, this version reads "
            f"{SCHEMA}; {mend}"
        )
    changed = differences(theirs["recipe"], recipe) + space_differences(theirs["space"], space)
    changed += [
        f"{key}: recorded {theirs[key]!r}, now {mine[key]!r}"
        for key in ("seed", "data")
        if theirs[key] != mine[key]
    ]
    if changed:
        raise UserError(f"study {name!r} in {where} is another search ({changed[0]}); {mend}")
    return study


# --- Which trials count -----------------------------------------------------------------------


def count(
    study: optuna.Study, counts: Callable[[FrozenTrial], bool] = lambda trial: True
) -> tuple[int, int]:
    """Return how many trials are finished, and how many are running somewhere."""
    states = [t.state for t in study.get_trials(deepcopy=False) if counts(t)]
    return sum(s in FINISHED for s in states), states.count(TrialState.RUNNING)


def is_surplus(study: optuna.Study, number: int, wanted: int) -> bool:
    """Return whether `wanted` trials or more come before this one."""
    alive = (*FINISHED, TrialState.RUNNING)
    before = [t for t in study.get_trials(deepcopy=False, states=alive) if t.number < number]
    return len(before) >= wanted


# --- From Optuna's trials to ours -------------------------------------------------------------


def suggest(trial: optuna.Trial, space: Sequence[Range]) -> Settings:
    """Return the settings that the sampler proposes, rounded as a person would type them."""
    found: dict[str, float] = {}
    for r in space:
        if r.whole:
            drawn: float = trial.suggest_int(r.field, int(r.low), int(r.high), log=r.log)
        else:
            drawn = trial.suggest_float(r.field, r.low, r.high, log=r.log)
        found[r.field] = r.rounded(drawn)
    return found


def trials_of(study: optuna.Study) -> list[Trial]:
    """Return the trials of a study, but for those that are still to run or were given back."""
    states: dict[TrialState, State] = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }
    found = []
    for t in study.get_trials(deepcopy=False, states=tuple(states)):
        if "settings" not in t.user_attrs:
            continue
        took = t.user_attrs.get("seconds")
        if took is None and t.datetime_start and t.datetime_complete:  # of one that died
            took = (t.datetime_complete - t.datetime_start).total_seconds()
        found.append(
            Trial(
                number=t.number,
                state="diverged" if t.user_attrs.get("diverged") else states[t.state],
                settings=t.user_attrs["settings"],
                values=tuple(t.intermediate_values[k] for k in sorted(t.intermediate_values)),
                seconds=round(took or 0.0, 1),
                seed=t.user_attrs["seed"],
            )
        )
    return found


def processes_of(study: optuna.Study) -> list[dict[str, Any]]:
    """Return the provenance of each process that trained a trial, the first one first."""
    found = [v for k, v in study.user_attrs.items() if k.startswith(PROCESS)]
    return sorted(found, key=lambda facts: str(facts.get("started_at", "")))
