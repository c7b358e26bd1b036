"""The folds of a cross-validation, trained by whichever process takes them.

Each fold is a run of its own, in a folder of its own, and a process takes the next one that is
neither finished nor taken. Taken is a lock that ends with its process, however that ends: after a
kill there is nothing to clean up, and the fold goes on from its checkpoint.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cifar_lessons import experiment, runs
from cifar_lessons.atomic import locked
from cifar_lessons.config import Recipe, in_fold
from cifar_lessons.data.cifar import Cifar
from cifar_lessons.distributed import Group
from cifar_lessons.runtime import Runtime
from cifar_lessons.sitting import require_this_run

LOCK = ".taken"


@dataclass(frozen=True)
class Part:
    """One fold to train."""

    recipe: Recipe  # of this fold
    seed: int
    folder: Path  # of its run

    @property
    def name(self) -> str:
        """Return what a person calls it."""
        return f"{self.recipe.name} seed {self.seed} fold {self.recipe.data.fold}"

    @property
    def finished(self) -> bool:
        """Return whether its run is there."""
        return (self.folder / "run.json").exists()


def parts_of(
    recipe: Recipe, *, folds: int, seeds: tuple[int, ...], out: Path, only: int | None = None
) -> list[Part]:
    """Return the folds of some partitions, in the order in which they are trained.

    Args:
        recipe: What is cross-validated.
        folds: Parts of each partition.
        seeds: One a partition; each draws its own, and the first weights too.
        out: Folder of all runs.
        only: This fold of each partition alone, in [0, folds).

    Raises:
        UserError: See `config.in_fold`.
    """
    chosen = range(folds) if only is None else (only,)
    return [
        Part(part, seed, out / recipe.name / runs.run_key(part, seed))
        for seed in seeds
        for part in (in_fold(recipe, fold, folds=folds, seed=seed) for fold in chosen)
    ]


def _silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What all folds of a process share."""

    runtime: Runtime
    load: Callable[[Recipe], Cifar]  # the data, cut as the recipe of a fold says
    command: str = ""  # what was typed, kept with each run
    deadline: float | None = None  # of `time.monotonic()`
    progress: bool = True  # show the epochs of each fold, or a line a fold alone
    say: Callable[[str], None] = _silent  # rank 0 alone calls it
    poll: float = 2.0  # seconds between two looks at folds that other processes train


def work(todo: list[Part], place: Place) -> bool:
    """Train until all folds are finished, by whichever process; return whether they are.

    The same call goes on with what was stopped or killed.

    Args:
        todo: From `parts_of`.
        place: Of this process, or of the processes that train each fold together.

    Raises:
        UserError: A folder holds another run or cannot be written; or see `experiment.run`.
    """
    group = place.runtime.group
    say = place.say if group.leader else _silent
    group.agree({"folds": [part.name for part in todo]})
    group.from_leader(lambda: _check(todo))
    waited = trained = False
    ready: tuple[int, Cifar] | None = None
    while left := group.from_leader(lambda: [k for k, p in enumerate(todo) if not p.finished]):
        if (trained or waited) and group.from_leader(lambda: _late(place)):
            say(f"stopped by the deadline with {len(left)} folds to go: the same command continues")
            return False
        if not (ready or trained):
            with group.together():  # data that is not there is told before a folder is made
                ready = left[0], place.load(todo[left[0]].recipe)
        for number in left:
            part = todo[number]
            with _taken(part, group) as mine:
                if not mine:
                    continue
                if not ready or ready[0] != number:
                    with group.together():
                        ready = number, place.load(part.recipe)
                folder = _train(part, ready[1], place, say)
            if folder is None:
                if not place.progress:
                    say("stopped and saved: the same command continues")
                return False
            done = len(todo) - group.from_leader(lambda: sum(not p.finished for p in todo))
            if group.leader:  # on another machine the folder may not be
                say(f"{_outcome(part, folder)} ({done} of {len(todo)} folds)")
            trained, ready = True, None
            break
        else:
            if group.from_leader(partial(_any_finished, [todo[k] for k in left])):
                continue  # by another process, just now
            if not waited:
                say(f"waiting for {len(left)} folds that other processes train")
            waited = True
            time.sleep(place.poll)
    return True


def _train(part: Part, data: Cifar, place: Place, say: Callable[[str], None]) -> Path | None:
    """Train and score one fold; return its folder, or None when it was stopped."""
    if place.progress:
        say(f"{part.name} -> {part.folder}")
    return experiment.run(
        part.recipe,
        seed=part.seed,
        out=part.folder,
        data=data,
        runtime=place.runtime,
        command=place.command,
        deadline=place.deadline,
        progress=place.progress,
    )


def _outcome(part: Part, folder: Path) -> str:
    """Return what a fold gave, in one line."""
    run = runs.read_run(folder)
    return (
        f"{part.name}: held-out accuracy {100 * run.final['val_accuracy']:.2f} %, test accuracy "
        f"{100 * run.final['test_accuracy']:.2f} %, {run.minutes:.1f} minutes"
    )


def _check(todo: list[Part]) -> None:
    """Raise for a finished fold of other settings before anything is trained."""
    for part in todo:
        if part.finished:
            require_this_run(part.folder, part.recipe, part.seed)


def _any_finished(parts: list[Part]) -> bool:
    return any(part.finished for part in parts)


def _late(place: Place) -> bool:
    return place.deadline is not None and time.monotonic() > place.deadline


@contextlib.contextmanager
def _taken(part: Part, group: Group) -> Iterator[bool]:
    """Take a fold while the block runs; yield whether it was free and is still to be trained."""
    with contextlib.ExitStack() as held:

        def take() -> bool:
            return held.enter_context(locked(part.folder / LOCK)) and not part.finished

        yield group.from_leader(take)
