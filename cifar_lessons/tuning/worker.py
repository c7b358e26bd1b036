"""One process at work on a study: it asks for a trial, trains it, tells what came out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import optuna
from optuna import TrialPruned
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from cifar_lessons.building import new_model
from cifar_lessons.config import Distillation, Recipe
from cifar_lessons.data.cifar import Cifar
from cifar_lessons.errors import UserError
from cifar_lessons.experiment import train
from cifar_lessons.runtime import Runtime
from cifar_lessons.training.checkpoint import stop_on_signal
from cifar_lessons.tuning.alive import BEAT, GRACE, Silences, beating, fail, queue_again
from cifar_lessons.tuning.display import Display
from cifar_lessons.tuning.space import Settings, apply
from cifar_lessons.tuning.storage import open_storage, shown
from cifar_lessons.tuning.study import PROCESS, count, open_study
from cifar_lessons.tuning.trials import State, Trial

IN_MEMORY = ":memory:"
Chosen = tuple[Settings, int]  # what to train, and from which seed


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What every trial of a process shares."""

    recipe: Recipe
    data: Cifar
    runtime: Runtime
    storage: str = IN_MEMORY  # see `open_storage`
    deadline: float | None = None  # of `time.monotonic()`
    progress: bool = True
    provenance: Mapping[str, Any] | None = None  # of this process, kept with the study
    beat: float = BEAT
    grace: float = GRACE
    poll: float = 2.0  # seconds between two looks at trials of other processes

    def __post_init__(self) -> None:
        """Check that the recipe can be tuned, before a study is made of it."""
        if self.recipe.init is not None or isinstance(self.recipe.objective, Distillation):
            part = "first weights" if self.recipe.init is not None else "a teacher"
            raise UserError(
                f"{self.recipe.name} needs {part} of another run, which trials are not given; tune "
                "the recipe that trains alone, and take its settings"
            )
        if not len(self.data.val):
            raise UserError(
                f"{self.recipe.name} holds out no validation images, and nothing else may choose; "
                "try --set data.val_size=5000"
            )
        new_model(self.recipe, seed=0, num_classes=len(self.data.classes), runtime=self.runtime)

    def open(self, name: str, **kwargs: Any) -> optuna.Study:
        """Return a study of this recipe; see `open_study`."""
        in_memory = self.storage == IN_MEMORY
        storage = optuna.storages.InMemoryStorage() if in_memory else open_storage(self.storage)
        return open_study(
            storage,
            name,
            recipe=self.recipe,
            data_digest=self.data.digest,
            where=shown(self.storage),
            **kwargs,
        )


def work(
    study: optuna.Study,
    place: Workplace,
    *,
    wanted: int,
    choose: Callable[[optuna.Study, optuna.Trial], Chosen | None],
    counts: Callable[[FrozenTrial], bool] = lambda trial: True,
) -> str:
    """Train until enough trials are finished, by whichever process.

    Args:
        study: Shared or not.
        place: What this process trains, and on what.
        wanted: Trials that must be finished.
        choose: Gives a new trial its settings and seed, or None where it is one too many.
        counts: Which trials count.

    Returns:
        What stopped it before: "deadline" or "signal"; else "".
    """
    silences, known = Silences(grace=place.grace), False
    with stop_on_signal() as stop, Display(study, wanted, place.progress) as display:
        while True:
            for number in silences.give_up(study):
                display.say(f"trial {number} is silent, its process seems to be dead: given up")
            finished, running = count(study, counts)
            display.at(finished)
            if finished >= wanted:
                return ""
            if stop:
                return "signal"
            if place.deadline is not None and time.monotonic() > place.deadline:
                return "deadline"
            if finished + running >= wanted:
                display.wait(running)
                time.sleep(place.poll)
                continue
            trial = study.ask()
            chosen = choose(study, trial)
            if chosen is None:
                fail(study, trial.number)  # without settings: it is not listed
                continue
            if not known and place.provenance is not None:
                study.set_user_attr(PROCESS + uuid4().hex[:8], dict(place.provenance))
                known = True
            done, stopped = _train(study, trial, chosen, place)
            display.show(done)
            if stopped:
                return stopped


def _train(
    study: optuna.Study, trial: optuna.Trial, chosen: Chosen, place: Workplace
) -> tuple[Trial, str]:
    """Train one trial and tell the study; return it, and what stopped it if a person did."""
    settings, seed = chosen
    values: list[float] = []
    state: State = "complete"
    stopped, start = "", time.monotonic()

    def report(row: Mapping[str, float]) -> None:
        values.append(row["val_accuracy"])
        trial.report(values[-1], step=len(values))
        if len(values) < place.recipe.epochs and trial.should_prune():
            raise TrialPruned

    def tell() -> None:
        trial.set_user_attr("seconds", round(time.monotonic() - start, 1))
        if state == "complete":
            study.tell(trial, values[-1])
            return
        if state == "diverged":
            trial.set_user_attr("diverged", True)
        study.tell(trial, state=TrialState.FAIL if state == "failed" else TrialState.PRUNED)

    def again(*, died: bool) -> None:
        frozen = study.get_trials(deepcopy=False)[trial.number]
        if fail(study, trial.number):
            queue_again(study, frozen, died=died)

    try:
        trial.set_user_attr("settings", dict(settings))
        trial.set_user_attr("seed", seed)
        with beating(trial, every=place.beat):
            try:
                result = train(
                    # Each epoch is looked at: the pruner decides by that.
                    replace(apply(place.recipe, settings), validate_every=1),
                    replace(place.data, test=place.data.test[:0]),  # no test image comes near
                    seed=seed,
                    runtime=place.runtime,
                    deadline=place.deadline,
                    on_epoch=report,
                    progress=False,
                )
                stopped = result.stopped_by
            except TrialPruned:
                state = "pruned"
            except FloatingPointError:  # the loss or the logits became NaN
                state = "diverged"
        if stopped:
            state = "failed"
            again(died=False)
        else:
            tell()
    except UpdateFinishedTrialError:
        state = "failed"  # another process gave it up, as if we were dead; it is queued again
    except BaseException as error:
        again(died=isinstance(error, Exception))
        raise
    spent = round(time.monotonic() - start, 1)
    done = Trial(
        number=trial.number, state=state, settings=settings, values=tuple(values),
        seconds=spent, seed=seed,
    )  # fmt: skip
    return done, stopped
