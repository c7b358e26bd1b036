"""One sitting at a run: its folder has one writer, and what is finished is not done again.

Training, searching and fine-tuning begin and end alike; what they do in between is their own.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cifar_lessons import origins, runs
from cifar_lessons.atomic import alone_in
from cifar_lessons.config import Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.fields import differences
from cifar_lessons.runtime import Runtime, machine


class Outcome(Protocol):
    """What some work gave, over all its sittings."""

    finished: bool
    stopped_by: str  # "deadline", "signal" or ""
    seconds: float
    cpu_seconds: float
    commits: list[str]  # of the code of each sitting


@dataclass(frozen=True)
class Sitting:
    """A run's folder while a process, or a group of them, works in it.

    Attributes:
        checkpoint: Where the work is saved; gone once the run is finished.
        provenance: From `origins.provenance`; whoever works adds what belongs to the run.
        talks: Whether this process prints.
    """

    checkpoint: Path
    provenance: dict[str, Any]
    talks: bool

    @property
    def commit(self) -> str:
        """Return the commit of the code, marked where something is not committed."""
        dirty = "+dirty" if self.provenance["git_dirty"] else ""
        return f"{self.provenance['git_commit']}{dirty}"

    def stopped(self, outcome: Outcome) -> bool:
        """Return whether some work stopped before its end, and say by what."""
        if not outcome.finished and self.talks:
            print(f"stopped by the {outcome.stopped_by} and saved: the same command continues")
        return not outcome.finished

    def completed(self, outcome: Outcome) -> bool:
        """Return whether the run's work is done: note what it took, or say what stopped it."""
        if self.stopped(outcome):
            return False
        commits = outcome.commits
        self.provenance["git_commits"] = commits
        self.provenance["git_dirty"] = any(c.endswith("+dirty") or c == "" for c in commits)
        self.provenance["train_seconds"] = round(outcome.seconds, 1)
        self.provenance["cpu_seconds"] = round(outcome.cpu_seconds, 1)
        return True


@contextlib.contextmanager
def sit_down(
    recipe: Recipe,
    *,
    seed: int,
    out: Path,
    data_digest: str,
    runtime: Runtime,
    command: str = "",
    progress: bool = True,
) -> Iterator[Sitting | None]:
    """Have a run's folder to oneself while the block runs; yield None where it is finished.

    Args:
        recipe: Of the run.
        seed: Of the run.
        out: Its folder; it is made.
        data_digest: Of its data.
        runtime: Device, precision, and the group of processes that work together.
        command: What the user typed, kept with the run.
        progress: Print, on rank 0.

    Raises:
        UserError: The folder holds another run, cannot be written, or another process works in it.
    """
    group, checkpoint = runtime.group, out / "checkpoint.pt"
    talks = progress and group.leader

    def is_finished() -> bool:
        if not (out / "run.json").exists():
            return False
        require_this_run(out, recipe, seed)
        checkpoint.unlink(missing_ok=True)  # also after a process that was killed right at the end
        return True

    with contextlib.ExitStack() as held:
        group.from_leader(lambda: held.enter_context(alone_in(out)))
        if group.from_leader(is_finished):
            if talks:
                print(f"already finished: {out}")
            yield None
            return
        provenance = origins.provenance(
            command=command, data_digest=data_digest, **machine(runtime)
        )
        provenance["world_size"] = group.size
        yield Sitting(checkpoint, provenance, talks)
        group.from_leader(is_finished)


def require_this_run(out: Path, recipe: Recipe, seed: int) -> None:
    """Raise unless the finished run in `out` is of this recipe and seed."""
    found = runs.read_run(out)
    changed = differences(found.recipe, recipe)
    if found.seed != seed:
        changed.insert(0, f"seed: recorded {found.seed}, now {seed}")
    if changed:
        raise UserError(
            f"{out} holds a finished run with other settings ({changed[0]}); delete it, or "
            "choose another folder with --out"
        )
