"""From a finished search to a study that is kept with the recorded runs."""

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)

from cifar_lessons import recipes
from cifar_lessons.config import Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.fields import differences, to_dict
from cifar_lessons.tuning.search import Found
from cifar_lessons.tuning.space import SPACE, Range
from cifar_lessons.tuning.storage import quiet
from cifar_lessons.tuning.trials import Trial, Tuning, complete, to_values

BASE = "tuning_base"  # the recipe of the book's own search
FEWEST = 4  # complete trials, without which nothing can be said about importance


def study_name(recipe: str) -> str:
    """Return the name under which a search of that recipe is recorded."""
    return "tuning" if recipe == BASE else f"tuning_{recipe}"


def importances(space: Sequence[Range], trials: Sequence[Trial]) -> dict[str, dict[str, float]]:
    """Return the share of each field in the spread of the accuracy, by method; they sum to 1.

    `fanova` looks at the whole range: how much of the variance each field explains alone, in a
    random forest over the complete trials (Hutter, Hoos & Leyton-Brown 2014). `ped_anova` asks
    which field tells the best tenth from the rest (Watanabe, Bansal & Hutter 2023,
    arXiv:2304.10255).
    """
    done = complete(trials)
    if len(done) < FEWEST or len({t.accuracy for t in done}) < 2:
        return {}
    distributions: dict[str, BaseDistribution] = {
        r.field: IntDistribution(int(r.low), int(r.high), log=r.log)
        if r.whole
        else FloatDistribution(r.low, r.high, log=r.log)
        for r in space
    }
    methods: dict[str, BaseImportanceEvaluator] = {
        "fanova": FanovaImportanceEvaluator(seed=0),
        "ped_anova": PedAnovaImportanceEvaluator(),
    }
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = optuna.create_study(direction="maximize")
        study.add_trials(
            optuna.create_trial(
                params=dict(t.settings), distributions=distributions, value=t.accuracy
            )
            for t in done
        )
        return {
            name: {
                k: round(float(v), 4)
                for k, v in get_param_importances(study, evaluator=how).items()
            }
            for name, how in methods.items()
        }


def require_planned(recipe: Recipe, *, space: Sequence[Range], seed: int) -> None:
    """Raise `UserError` unless a search is the one that was fixed beforehand."""
    changed = differences(to_dict(recipe), recipes.get(recipe.name))
    if changed:
        raise UserError(
            f"a search of {recipe.name} with other settings ({changed[0]}) is not recorded; leave "
            "out --set, or --record"
        )
    if tuple(space) != SPACE or seed != 0:
        raise UserError(
            "only a search with the ranges and the seed that were fixed beforehand is recorded; "
            "leave out --range and --seed, or --record"
        )


def gather(
    recipe: Recipe, found: Found, repeated: Found, *, space: Sequence[Range], seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a search as `recording.record_study` takes it: values and provenance.

    Args:
        recipe: What was tuned.
        found: The finished search.
        repeated: Its finished repeats.
        space: Where it searched.
        seed: Of the search.

    Raises:
        UserError: Something that must not be recorded: unfinished, with other settings than the
            registered ones, on made-up data, or from uncommitted code.
    """
    again = "choose another --storage and search again"
    if found.stopped_by or repeated.stopped_by:
        raise UserError("the search is not finished; the same command goes on")
    require_planned(recipe, space=space, seed=seed)
    processes = [*found.processes, *repeated.processes]
    if not processes:
        raise UserError(f"nothing tells where these trials were trained; {again}")
    if any(facts["data_digest"] == "synthetic" for facts in processes):
        raise UserError(f"the search ran on synthetic data, which is never recorded; {again}")
    if any(facts["git_dirty"] for facts in processes):
        raise UserError(f"trials were trained from uncommitted code; commit it, then {again}")
    tuning = Tuning(
        recipe=to_dict(recipe),
        space=tuple(space),
        trials=tuple(found.trials),
        repeats=tuple(repeated.repeats),
        importance=importances(space, found.trials),
    )
    seconds = sum(t.seconds for t in (*found.trials, *repeated.trials))
    provenance = {
        **processes[0],
        "git_commits": list(dict.fromkeys(facts["git_commit"] for facts in processes)),
        "processes": len(processes),
        "train_seconds": round(seconds, 1),
    }
    return to_values(tuning), provenance
