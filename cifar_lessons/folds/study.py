"""Cross-validation repeated: accuracies by repeat and fold, gathered from runs and read back.

Logits of forty folds would be 14 MB in git, so a study keeps their accuracies alone. One repeat is
recorded fold by fold beside it, with its logits; see `out_of_fold`. No torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons import origins, recipes, recording, runs
from cifar_lessons.config import Recipe, in_fold
from cifar_lessons.errors import UserError
from cifar_lessons.fields import differences, to_dict

BASE = "folds_base"  # the recipe of the book's own study
REPEATS, FOLDS = 8, 5  # of that study, fixed before the first run

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Repeats:
    """A cross-validation, repeated from several seeds; a seed draws partition and weights.

    Attributes:
        recipe: What was cross-validated, as a dict.
        seeds: One a repeat.
        held_out: Accuracy of each network on the images that it never saw, shape (R, K).
        test: Accuracy of each on the test images, shape (R, K).
        seconds: Of training each, on cores that may have been shared, shape (R, K).
        train_images: That each trained on.
        held_out_images: That each was scored on.
        provenance: Of all of them.
    """

    recipe: Mapping[str, Any]
    seeds: tuple[int, ...]
    held_out: Floats
    test: Floats
    seconds: Floats
    train_images: int
    held_out_images: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folds(self) -> int:
        """Return K."""
        return int(self.held_out.shape[1])


def study_name(recipe: str) -> str:
    """Return the name under which repeats of that recipe are recorded."""
    return "folds" if recipe == BASE else f"folds_{recipe}"


def finished(
    recipe: Recipe, *, folds: int, seeds: Sequence[int], out: Path
) -> list[list[runs.Run]]:
    """Return the finished runs, by repeat and fold.

    Args:
        recipe: What was cross-validated.
        folds: Of each partition.
        seeds: One a repeat.
        out: Folder of all runs.

    Raises:
        UserError: One is not finished, or has other settings.
    """
    table = []
    for seed in seeds:
        row = []
        for fold in range(folds):
            part = in_fold(recipe, fold, folds=folds, seed=seed)
            run = runs.read_run(out / recipe.name / runs.run_key(part, seed))
            if changed := differences(run.recipe, part):
                raise UserError(
                    f"{run.folder} was made with other settings ({changed[0]}); choose another "
                    "folder with --out"
                )
            row.append(run)
        table.append(row)
    return table


def gather(
    recipe: Recipe, *, folds: int, seeds: Sequence[int], out: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return finished repeats as `recording.record_study` takes them: values and provenance.

    Args:
        recipe: What was cross-validated.
        folds: Of each partition.
        seeds: One a repeat.
        out: Folder of all runs.

    Raises:
        UserError: Something that must not be recorded: unfinished, with other settings than the
            registered ones or another number of folds or repeats than was fixed beforehand, on
            made-up data, or from uncommitted code.
    """
    _require_plan(recipe, folds, len(seeds))
    mend = "choose another --out and train again"
    table = finished(recipe, folds=folds, seeds=seeds, out=out)
    every = [run for row in table for run in row]
    for run in every:
        recording.require_presentable(run, mend)
    facts = [run.provenance for run in every]
    held_out = len(every[0].logits("val"))
    images = sum(len(run.logits("val")) for run in table[0])
    values = {
        "recipe": to_dict(recipe),
        "folds": folds,
        "seeds": list(seeds),
        "held_out": [[run.final["val_accuracy"] for run in row] for row in table],
        "test": [[run.final["test_accuracy"] for run in row] for row in table],
        "seconds": [[run.provenance["train_seconds"] for run in row] for row in table],
        "train_images": images - held_out,
        "held_out_images": held_out,
    }
    commits = dict.fromkeys(commit for f in facts for commit in f["git_commits"])
    provenance = {
        **facts[0],
        "git_commits": list(commits),
        "devices": sorted({f["device"] for f in facts}),
        "train_seconds": round(sum(f["train_seconds"] for f in facts), 1),
        "cpu_seconds": round(sum(f["cpu_seconds"] for f in facts), 1),
    }
    return values, provenance


def require_recordable(recipe: Recipe, *, folds: int, repeats: int) -> None:
    """Raise if repeats could not be recorded in the end: before they are trained, not after.

    Args:
        recipe: What will be cross-validated.
        folds: Of each partition.
        repeats: How many partitions.

    Raises:
        UserError: The settings are not the registered ones, the numbers not those that were fixed
            before the first run, or the code is not committed.
    """
    _require_plan(recipe, folds, repeats)
    origins.require_committed()


def _require_plan(recipe: Recipe, folds: int, repeats: int) -> None:
    """Raise unless this was planned: whoever looks and then goes on or stops gets any result."""
    if changed := differences(to_dict(recipe), recipes.get(recipe.name)):
        raise UserError(
            f"--record needs {recipe.name} as it is registered ({changed[0]}); leave --set out"
        )
    if (folds, repeats) != (FOLDS, REPEATS):
        raise UserError(
            f"--record needs the {REPEATS} repeats of {FOLDS} folds that were fixed beforehand, "
            f"got {repeats} of {folds}; try --folds {FOLDS} --repeats {REPEATS}"
        )


def from_values(values: Mapping[str, Any], provenance: Mapping[str, Any] | None = None) -> Repeats:
    """Return the repeats that `gather` gave."""
    return Repeats(
        recipe=values["recipe"],
        seeds=tuple(values["seeds"]),
        held_out=np.array(values["held_out"], dtype=np.float64),
        test=np.array(values["test"], dtype=np.float64),
        seconds=np.array(values["seconds"], dtype=np.float64),
        train_images=values["train_images"],
        held_out_images=values["held_out_images"],
        provenance=provenance or {},
    )


def recorded(name: str = "folds", *, root: Path | None = None) -> Repeats | None:
    """Return recorded repeats, or None where they are not recorded yet.

    Args:
        name: Of the study.
        root: Of the recorded runs; see `runs.runs_root`.

    Raises:
        UserError: They are there and cannot be read.
    """
    study = runs.find_study(name, root=root)
    return None if study is None else from_values(study["values"], study["provenance"])
