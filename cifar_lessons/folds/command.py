"""`cifar-lessons folds`, and the folds of `train`. Imports no torch early."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, UseAppendAction, arg

from cifar_lessons.config import MOST_FOLDS, Distillation, Recipe, in_fold
from cifar_lessons.errors import UserError
from cifar_lessons.typed import typed

if TYPE_CHECKING:
    from cifar_lessons.runs import Run
    from cifar_lessons.runtime import Runtime


def folds(
    recipe: Annotated[Positional[str], arg(metavar="RECIPE")],
    /,
    *,
    folds: int | None = None,
    repeats: int = 8,
    seconds: float | None = None,
    set: UseAppendAction[tuple[str, ...]] = (),
    record: bool = False,
    out: Path = Path("outputs"),
    data: Annotated[Path | None, arg(metavar="DIR")] = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> None:
    """Cross-validate a recipe several times, to see how far a split and a mean of folds move.

    Each repeat has a seed of its own, which draws the partition, the first weights, the order and
    the augmentation: seed 0, 1, … The same command goes on with what was stopped or killed. Typed
    again meanwhile, in another terminal, it takes the next fold that is free. Give each process
    its own cores with --threads.

    Example: cifar-lessons folds folds_base --repeats 8 --threads 1

    Args:
        recipe: A name from `cifar-lessons list`.
        folds: Parts of each partition; the recipe's if not given, else 5.
        repeats: Partitions, in all sittings and processes together.
        seconds: Save and stop after this many; the same command goes on.
        set: FIELD=VALUE changes a field for all folds, as in epochs=4; may be given several times.
        record: Keep the accuracies with the recorded runs.
        out: Each fold is written to OUT/RECIPE/seedK-foldJ.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16; a recipe that fixes one takes no other.
        threads: CPU threads; as many as there are cores if not given.
    """
    from cifar_lessons import recipes, recording
    from cifar_lessons.fields import override
    from cifar_lessons.folds.study import require_recordable

    chosen = override(recipes.get(recipe), *set)
    count = count_of(chosen, chosen.data.folds or 5 if folds is None else folds, None)
    if not 2 <= repeats <= 1_000:
        raise UserError(f"--repeats must be in [2, 1000], got {repeats}; try --repeats 8")
    if seconds is not None and not seconds > 0:  # so that NaN is refused too
        raise UserError(f"--seconds must be > 0, got {seconds:g}; try --seconds 600")
    if threads is not None and not 1 <= threads <= 256:
        raise UserError(f"--threads must be in [1, 256], got {threads}; try --threads 2")
    if record:
        require_recordable(chosen, folds=count, repeats=repeats)
    in_fold(chosen, 0, folds=count, seed=0)  # a mistake is told before anything is loaded
    deadline = None if seconds is None else time.monotonic() + seconds
    import torch

    from cifar_lessons import experiment
    from cifar_lessons.folds import report, study

    if threads is not None:
        torch.set_num_threads(threads)
    here = experiment.runtime_for(chosen, device=device, precision=precision)
    seeds = tuple(range(repeats))
    print(
        f"{chosen.name}: {repeats} repeats of {count} folds on {here.device}, {here.precision} -> "
        f"{out / chosen.name}",
        flush=True,
    )
    done = _train(
        chosen, here, folds=count, seeds=seeds, out=out, data=data, deadline=deadline,
        progress=sys.stderr.isatty(),  # elsewhere a line a fold is enough
    )  # fmt: skip
    if not done:
        return
    table = study.finished(chosen, folds=count, seeds=seeds, out=out)
    print(report.spread_summary([[run.final["val_accuracy"] for run in row] for row in table]))
    if record:
        values, provenance = study.gather(chosen, folds=count, seeds=seeds, out=out)
        path = recording.record_study(study.study_name(chosen.name), values, provenance=provenance)
        print(f"recorded {path}")


def count_of(recipe: Recipe, folds: int | None, fold: int | None) -> int:
    """Return in how many folds a recipe is cross-validated; 0 is not at all.

    Args:
        recipe: As it was chosen.
        folds: What was typed for --folds; the recipe's own number if None.
        fold: What was typed for --fold.

    Raises:
        UserError: A number outside its range, or a fold without folds.
    """
    if folds is not None and not 2 <= folds <= MOST_FOLDS:
        one = ": with one, nothing is left to train on" if folds == 1 else ""
        raise UserError(f"--folds must be in [2, {MOST_FOLDS}], got {folds}{one}; try --folds 5")
    count = recipe.data.folds if folds is None else folds
    if recipe.data.fold:
        raise UserError(
            f"data.fold is chosen by --fold, got --set data.fold={recipe.data.fold}; try "
            f"--folds {count or 5} --fold {recipe.data.fold}"
        )
    if count and recipe.init is not None:
        raise UserError(
            f"folds of {recipe.name} cannot begin with {recipe.init}: it has seen the images that "
            "they hold out; try --set init=null"
        )
    if count and isinstance(recipe.objective, Distillation):
        raise UserError(
            f"{recipe.name} learns from a teacher, which has seen the images that folds hold out; "
            "cross-validate a recipe that learns from labels alone"
        )
    if count and recipe.data.split_seed:
        raise UserError(
            f"the seed of a run draws its folds, got --set data.split_seed={recipe.data.split_seed}"
            f"; try --seed {recipe.data.split_seed}"
        )
    if fold is not None and not count:
        raise UserError(f"--fold {fold} needs to know of how many; try --folds 5 --fold {fold}")
    if fold is not None and not 0 <= fold < count:
        raise UserError(
            f"--fold must be in [0, {count - 1}], the {count} folds, got {fold}; try --fold 0"
        )
    return count


def train_folds(
    recipe: Recipe,
    here: "Runtime",
    *,
    folds: int,
    fold: int | None,
    seed: int,
    out: Path,
    data: Path | None,
    deadline: float | None,
) -> None:
    """Train the folds of one partition, or one of them, and say what came out.

    Args:
        recipe: What to cross-validate.
        here: The machine, and the processes that train each fold together.
        folds: Of the partition.
        fold: This one alone; all of them if None.
        seed: Of partition and training.
        out: Folder of all runs.
        data: Folder of the data.
        deadline: Of `time.monotonic()`.
    """
    done = _train(
        recipe, here, folds=folds, seeds=(seed,), only=fold, out=out, data=data,
        deadline=deadline, progress=True,
    )  # fmt: skip
    if not done or fold is not None or not here.group.leader:
        return
    from cifar_lessons.folds import report, study

    row: list[Run]
    [row] = study.finished(recipe, folds=folds, seeds=(seed,), out=out)
    held_out = [run.logits("val") for run in row]
    rest = sum(map(len, held_out)) - len(held_out[0])
    print(report.folds_summary(held_out, rest))


def _train(
    recipe: Recipe,
    here: "Runtime",
    *,
    folds: int,
    seeds: tuple[int, ...],
    out: Path,
    data: Path | None,
    deadline: float | None,
    progress: bool,
    only: int | None = None,
) -> bool:
    """Train folds as far as they go; return whether all are finished."""
    from cifar_lessons import experiment
    from cifar_lessons.folds.work import Place, parts_of, work

    say: Callable[[str], None] = lambda text: print(text, flush=True)  # noqa: E731
    place = Place(
        runtime=here,
        load=lambda part: experiment.load_data(part, data),
        command=typed(),
        deadline=deadline,
        progress=progress,
        say=say,
    )
    return work(parts_of(recipe, folds=folds, seeds=seeds, out=out, only=only), place)
