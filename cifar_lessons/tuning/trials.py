"""What a search found, as plain data: trials, repeats, and a recorded search read back.

Needs neither torch nor Optuna, so the book draws a recorded search anywhere. A search that runs
live gives the same `Trial`s.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cifar_lessons import runs
from cifar_lessons.tuning.space import Range, Settings, from_json

State = Literal["complete", "pruned", "diverged", "failed"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training run of a search.

    Attributes:
        number: In the order in which trials began, from 0; numbers of failed ones are not reused.
        state: `complete`; `pruned`, stopped early because it looked hopeless; `diverged`, its loss
            became NaN; `failed`, its process was stopped or died, and its settings were queued
            again.
        settings: What was tried, by field.
        values: Validation accuracy after each epoch, fractions in [0, 1].
        seconds: Of training and validation, on cores that may have been shared.
        seed: Of the run.
    """

    number: int
    state: State
    settings: Settings
    values: tuple[float, ...] = ()
    seconds: float = 0.0
    seed: int = 0

    @property
    def accuracy(self) -> float:
        """Return the last validation accuracy; of a diverged trial 0, below any other."""
        return self.values[-1] if self.values and self.state != "diverged" else 0.0


@dataclass(frozen=True)
class Repeats:
    """The same settings trained from several seeds that had no part in choosing them.

    Attributes:
        label: What these settings are.
        settings: By field.
        accuracies: Validation accuracy by seed, fractions in [0, 1]; 0.0 where it diverged.
    """

    label: str
    settings: Settings
    accuracies: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Return the mean over seeds."""
        return statistics.fmean(self.accuracies.values())

    @property
    def sd(self) -> float:
        """Return the standard deviation of a single run; 0 where there is one seed."""
        values = list(self.accuracies.values())
        return statistics.stdev(values) if len(values) > 1 else 0.0


def complete(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that trained to their end."""
    return [t for t in trials if t.state == "complete"]


def counted(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that count towards the number asked for: all but the failed ones."""
    return [t for t in trials if t.state != "failed"]


def best(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial with the highest accuracy, the earlier one of two equals."""
    return max(complete(trials), key=lambda t: (t.accuracy, -t.number), default=None)


def noise(repeats: Sequence[Repeats]) -> float:
    """Return the standard deviation of one run from seed to seed, pooled over all settings.

    Settings with one seed say nothing about it, and neither do those with a diverged seed: what
    such a run gives is no scatter around a mean.
    """
    usable = [r for r in repeats if len(r.accuracies) > 1 and min(r.accuracies.values()) > 0]
    freedom = sum(len(r.accuracies) - 1 for r in usable)
    squares = sum((len(r.accuracies) - 1) * r.sd**2 for r in usable)
    return float((squares / freedom) ** 0.5) if freedom else 0.0


@dataclass(frozen=True)
class Tuning:
    """A recorded search.

    Attributes:
        recipe: What was tuned, as a dict.
        space: Where.
        trials: All of them, in their order.
        repeats: The best settings and the article's, from seeds of their own.
        importance: Share of each field in the spread of the accuracy, by method.
        provenance: Of the search.
    """

    recipe: Mapping[str, Any]
    space: tuple[Range, ...]
    trials: tuple[Trial, ...]
    repeats: tuple[Repeats, ...] = ()
    importance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Return how long a complete trial trained."""
        return int(self.recipe["epochs"])


def within_noise(tuning: Tuning) -> list[Trial]:
    """Return the complete trials that chance alone could put beside the best settings.

    They reach the mean of the repeated best settings, less two standard deviations of a run.
    """
    if not tuning.repeats:
        return []
    limit = tuning.repeats[0].mean - 2 * noise(tuning.repeats)
    return [t for t in complete(tuning.trials) if t.accuracy >= limit]


def to_values(tuning: Tuning) -> dict[str, Any]:
    """Return a search ready for JSON, but for its provenance, which a study keeps beside it."""
    return {
        "recipe": dict(tuning.recipe),
        "space": [dict(vars(r)) for r in tuning.space],
        "trials": [asdict(t) for t in tuning.trials],
        "repeats": [
            {**vars(r), "accuracies": {str(k): v for k, v in r.accuracies.items()}}
            for r in tuning.repeats
        ],
        "importance": {k: dict(v) for k, v in tuning.importance.items()},
        "best": None if (found := best(tuning.trials)) is None else found.number,
        "noise": noise(tuning.repeats),
    }


def from_values(values: Mapping[str, Any], provenance: Mapping[str, Any] | None = None) -> Tuning:
    """Return the search that `to_values` gave."""
    return Tuning(
        recipe=values["recipe"],
        space=from_json(values["space"]),
        trials=tuple(Trial(**{**t, "values": tuple(t["values"])}) for t in values["trials"]),
        repeats=tuple(
            Repeats(
                r["label"], r["settings"], {int(k): float(v) for k, v in r["accuracies"].items()}
            )
            for r in values["repeats"]
        ),
        importance=values["importance"],
        provenance=provenance or {},
    )


def recorded(name: str = "tuning", *, root: Path | None = None) -> Tuning | None:
    """Return a recorded search, or None where it is not recorded yet.

    Args:
        name: Of the study.
        root: Of the recorded runs; see `runs.runs_root`.

    Raises:
        UserError: It is there and cannot be read.
    """
    study = runs.find_study(name, root=root)
    return None if study is None else from_values(study["values"], study["provenance"])
