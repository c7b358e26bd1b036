"""The command line: each command is a function, and tyro makes its flags from the signature.

A user's mistake gives one line and exit status 2; nothing here shows a traceback for one. torch
is imported inside the commands that need it, so that `--help` answers at once.
"""

import inspect
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from cifar_lessons.bench_commands import BENCHES
from cifar_lessons.config import DataConfig, OptimConfig, Recipe
from cifar_lessons.deploy.command import export
from cifar_lessons.deploy.demo_command import demo
from cifar_lessons.enas.command import search
from cifar_lessons.errors import AlreadyTold, RankLost, UserError, memory_ran_out
from cifar_lessons.evaluation_commands import evaluate, predict
from cifar_lessons.finetuning.command import finetune
from cifar_lessons.folds.command import folds as repeat_folds
from cifar_lessons.serving.command import serve
from cifar_lessons.training_commands import range_test, teach, train
from cifar_lessons.tuning.command import tune
from cifar_lessons.typed import Commands, parse, typed

Folder = Annotated[Path | None, arg(metavar="DIR")]
Name = Annotated[Positional[str], arg(metavar="RECIPE")]


def data(
    *,
    dataset: Literal["cifar10", "cifar100"] = "cifar10",
    data: Folder = None,
    mirror: UseAppendAction[tuple[str, ...]] = (),
    official_order: bool = False,
    check: bool = False,
) -> None:
    """Fetch and verify a data set; run it again after a break and it goes on.

    Example: cifar-lessons data --mirror https://example.org/cifar-10-python.tar.gz

    Args:
        dataset: Which one.
        data: Folder; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        mirror: Address or path of the official archive, of parquet files, or of a folder of
            PNGs by class; may be given several times. CIFAR_LESSONS_MIRRORS adds more.
        official_order: Fetch the official archive although a copy from parquet or PNG files is
            there; recorded runs need its order.
        check: Only say what is there.
    """
    from cifar_lessons.data.cifar import data_root
    from cifar_lessons.data.fetch import fetch
    from cifar_lessons.data.fetch import status as describe

    root = data_root(data)
    if not check:
        fetch(dataset, root, mirrors=mirror, official_order=official_order)
    print(f"{dataset} in {root}: {describe(dataset, root)}")


def list_recipes() -> None:
    """Show every recipe with its recorded runs: fresh, stale or missing.

    Example: cifar-lessons list
    """
    from cifar_lessons import recipes, runs

    marks = {"fresh": "●", "stale": "◐", "missing": "○"}
    counts = dict.fromkeys(marks, 0)
    print(f"{'recipe':30}{'seeds':7}{'test accuracy':>15}{'core-min':>9}  about")
    for make in recipes.RECIPES.values():
        recipe = make()
        rows = runs.status(recipe)
        found = [run for _, _, run in rows if run]
        for _, state, _ in rows:
            counts[state] += 1
        seeds = "".join(marks[state] for _, state, _ in rows)
        scored = [r.final["test_accuracy"] for r in found if "test_accuracy" in r.final]
        accuracy = sum(scored) / len(scored) if scored else None  # a search scores no test images
        shown = f"{100 * accuracy:.2f} %" if accuracy is not None else "-"
        minutes = sum(r.core_minutes for r in found) / len(found) if found else None
        spent = f"{minutes:.1f}" if minutes is not None else "-"
        print(f"{recipe.name:30}{seeds:7}{shown:>15}{spent:>9}  {recipe.about}")
    print("  ".join(f"{marks[state]} {n} {state}" for state, n in counts.items()))


def record(
    recipe: Name,
    /,
    *,
    seed: int = 0,
    folds: int | None = None,
    out: Path = Path("outputs"),
    surprise: str | None = None,
) -> None:
    """Copy a finished run to the recorded runs of the book.

    It must come from committed code, the registered recipe and the real data. Every finished
    seed is recorded, whatever it gave.

    Example: cifar-lessons record simple_cnn --seed 1

    Args:
        recipe: Its name.
        seed: Of the run.
        folds: Copy the folds of a cross-validation, all of them; the recipe's own number if not
            given.
        out: Where `train` wrote it.
        surprise: Why the run is kept although it lies outside its expected band.
    """
    from cifar_lessons import recipes, recording
    from cifar_lessons.folds.command import count_of

    chosen = recipes.get(recipe)
    if count := count_of(chosen, folds, None):
        found = recording.record_folds(
            chosen, folds=count, seed=seed, outputs=out, surprise=surprise
        )
    else:
        found = [recording.record(chosen, seed=seed, outputs=out, surprise=surprise)]
    for run in found:
        told = ", ".join(f"{name} {value:.4f}" for name, value in run.final.items())
        if "test_accuracy" in run.final:
            told = f"test accuracy {100 * run.final['test_accuracy']:.2f} %"
        print(f"recorded {run.folder}: {told}")


def ship(recipe: Name, /, *, seed: int = 0) -> None:
    """Put the weights of a recorded run into the package, with a card; for its maintainers.

    They then come with every installation: `predict` answers with them, `finetune` starts from
    them. At most 5 MB a set.

    Example: cifar-lessons ship resnet18_w16

    Args:
        recipe: Its name; its recorded run must be fresh and keep its weights.
        seed: Of the run.
    """
    from cifar_lessons.pretrained.ship import ship as into_package

    print(f"shipped {into_package(recipe, seed=seed)}; commit it")


def study(
    name: Annotated[Positional[str], arg(metavar="STUDY")],
    /,
    *,
    data: Folder = None,
    record: bool = False,
) -> None:
    """Measure facts that need no training, such as the counts and statistics of the data.

    tta looks at the test images several times through every recorded network that keeps its
    weights, and takes some minutes a network; with --record it goes on where it was stopped.

    Example: cifar-lessons study data_facts --record

    Args:
        name: data_facts, data_facts_cifar100, parameter_counts, distillation_share, corruptions
            (some half an hour; the same command goes on), near_duplicates, probes or tta.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        record: Keep the facts with the recorded runs.
    """
    import json

    from cifar_lessons import origins, recording, studies
    from cifar_lessons.data.cifar import data_root

    if record:
        origins.require_committed(name)
    if name == "tta":
        from cifar_lessons.tta.study import study_tta

        print(study_tta(data_root(data), record=record, command=typed()))
        return
    values = studies.measure(name, data_root(data))
    print(json.dumps(values, indent=1))
    if record:
        print(f"recorded {recording.record_study(name, values, provenance=_provenance())}")


def _provenance() -> dict[str, Any]:
    """Return the provenance of a command that does not train, on the CPU."""
    from cifar_lessons import origins, runtime

    here = runtime.machine(runtime.detect(device="cpu"))
    here["precision"] = ""  # nothing was computed in any
    return origins.provenance(command=typed(), data_digest="", **here)


def claims() -> None:
    """Print the ledger: each claim of the article, what was measured, and the verdict.

    Exits with 1 if a claim that is marked measured has no fresh run behind it.

    Example: cifar-lessons claims
    """
    from cifar_lessons import claims as ledger

    rows = ledger.rows()
    print(ledger.format_rows(rows))
    stale = ledger.stale_claims(rows)
    for line in stale:
        print(line, file=sys.stderr)
    if stale:
        sys.exit(1)


def bench() -> None:
    """Time a part of the library against a baseline; `cifar-lessons bench --help` lists them.

    Nothing else should run on the machine meanwhile; each says so if something does.

    Example: cifar-lessons bench train --ladder --seconds 420
    """


COMMANDS: dict[str, Callable[..., None]] = {
    "data": data,
    "list": list_recipes,
    "train": train,
    "teach": teach,
    "range-test": range_test,
    "record": record,
    "evaluate": evaluate,
    "finetune": finetune,
    "predict": predict,
    "ship": ship,
    "export": export,
    "serve": serve,
    "demo": demo,
    "tune": tune,
    "search": search,
    "folds": repeat_folds,
    "study": study,
    "claims": claims,
    "bench": bench,
}


# Fields of a recipe by the word that a person may take for an option of `train`.
FIELDS: dict[str, str] = {
    **{f.name: f"data.{f.name}" for f in fields(DataConfig)},
    **{f.name: f"optim.{f.name}" for f in fields(OptimConfig)},
    **{f.name: f.name for f in fields(Recipe)},
    **{"lr": "optim.peak_lr", "width": "model.options.width"},
}


# A command that is a group of commands; its function is there for the list of `--help`.
GROUPS: dict[str, Commands] = {"bench": BENCHES}


def _parse(arguments: list[str]) -> Callable[[], None]:
    """Return the chosen command, ready to be called; a mistake becomes a `UserError`."""
    first = arguments[0] if arguments else ""
    if first in GROUPS:
        return parse(
            arguments[1:] or ["--help"],
            GROUPS[first],
            prog=f"cifar-lessons {first}",
            description=inspect.getdoc(COMMANDS[first]) or "",
        )
    return parse(
        arguments,
        COMMANDS,
        prog="cifar-lessons",
        description="Train, measure and look at CIFAR networks.",
        fields=FIELDS,
    )


def main() -> None:
    """Run the command line; exit with 2 for a user's mistake and 130 for Ctrl-C."""
    try:
        _parse(sys.argv[1:] or ["--help"])()
    except AlreadyTold:
        sys.exit(2)
    except RankLost as error:
        print(f"cifar-lessons: {error}", file=sys.stderr)
        sys.exit(1)
    except (UserError, FloatingPointError) as error:
        print(f"cifar-lessons: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("cifar-lessons: interrupted; what was saved is intact", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe, such as head, has gone
        sys.exit(0)
    except OSError as error:
        if error.filename is None:
            raise
        # A path that the system refuses even to look at: too long, or not for this user's eyes.
        print(f"cifar-lessons: cannot use {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        said = memory_ran_out(error)
        if said is None:
            raise
        print(f"cifar-lessons: {said}", file=sys.stderr)
        sys.exit(2)
