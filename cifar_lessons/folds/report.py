"""Cross-validation in words and tables; what is not recorded yet is said, with the command."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cifar_lessons.evaluation.cross_validation import FoldMean, Spread, fold_mean, spread
from cifar_lessons.evaluation.label_errors import Catch
from cifar_lessons.evaluation.metrics import Predictions, accuracy
from cifar_lessons.folds.out_of_fold import OutOfFold
from cifar_lessons.folds.study import Repeats
from cifar_lessons.recipes import get
from cifar_lessons.runs import record_command, study_command, train_command
from cifar_lessons.tables import Markdown, Table

NOTHING = "Nothing is recorded yet."


def card(repeats: Repeats | None) -> Markdown:
    """Return one line that says how repeats were made, or how to make them."""
    if repeats is None:
        return Markdown(f"**Not recorded yet:** `{study_command('folds')}`")
    facts = repeats.provenance
    parts = [
        f"`{repeats.recipe['name']}`, {len(repeats.seeds)} repeats of {repeats.folds} folds",
        " / ".join(facts["devices"]),
        f"{facts['threads']} thread{'s' if facts['threads'] != 1 else ''}, {facts['precision']}",
        f"torch {facts['packages']['torch']}",
        "commit " + " / ".join(c[:7] for c in facts["git_commits"]),
        f"{facts['train_seconds'] / 60:.0f} minutes of training (cores may have been shared)",
    ]
    return Markdown(f"*Recorded: {', '.join(parts)}.*")


def missing(name: str, found: OutOfFold | None) -> Markdown:
    """Return how the folds of a recipe are recorded, or nothing where they are."""
    if found is not None:
        return Markdown("")
    recipe = get(name)
    again = f"`{train_command(recipe, 0)}`, then `{record_command(recipe, 0)}`"
    return Markdown(f"**Not recorded yet:** {again}")


def points(value: float) -> str:
    """Return a fraction in points, with a true minus sign."""
    return f"{100 * value:.2f}".replace("-", "−")


def spread_table(tables: Mapping[str, npt.ArrayLike | None]) -> Table:
    """Return the spread of single splits and of the means of folds, a row an experiment.

    Args:
        tables: Accuracies by label, fractions, (R, K) each; None where nothing is recorded.
    """
    rows = []
    for label, table in tables.items():
        if table is None:
            continue
        s = spread(table)
        rows.append(
            (
                label,
                f"{100 * np.asarray(table, dtype=float).mean():.2f} %",
                points(s.single),
                points(s.mean),
                f"{points(s.difference)} ({_between(s.difference_interval)})",
                f"{s.ratio:.1f} ({s.ratio_interval[0]:.1f} to {s.ratio_interval[1]:.1f})",
                f"{s.correlation:+.2f}".replace("-", "−"),
            )
        )
    columns = (
        *("Repeats", "Mean accuracy", "Spread of a single split", "Spread of a mean of folds"),
        *("Difference", "Ratio", "Correlation of two folds"),
    )
    caption = (
        "Standard deviations from repeat to repeat, in points; difference and ratio with their "
        "95 % intervals."
    )
    return Table(columns, rows, caption if rows else NOTHING)


def _between(interval: tuple[float, float]) -> str:
    return f"{points(interval[0])} to {points(interval[1])}"


def intervals_table(repeats: Repeats | None) -> Table:
    """Return the naive and the corrected interval of one cross-validation, and of all repeats."""
    columns = ("From", "Mean accuracy", "Naive 95 % interval", "Corrected 95 % interval")
    if repeats is None:
        return Table(columns, [], NOTHING)
    sizes = {"n_train": repeats.train_images, "n_test": repeats.held_out_images}
    rows = []
    for label, values in (
        ("the first repeat", repeats.held_out[0]),
        (f"all {len(repeats.seeds)} repeats", repeats.held_out.ravel()),
    ):
        naive, corrected = (fold_mean(values, **sizes, corrected=c) for c in (False, True))
        rows.append(
            (
                f"{label}, {len(values)} networks",
                f"{100 * naive.mean:.2f} %",
                *(f"{100 * e.low:.2f} to {100 * e.high:.2f} %" for e in (naive, corrected)),
            )
        )
    caption = "The mean accuracy of networks like these, and how sure we may be of it."
    return Table(columns, rows, caption)


def folds_summary(found: Sequence[Predictions], n_train: int) -> str:
    """Return what the folds of one partition gave, in one line for a terminal.

    Args:
        found: Held-out predictions, one a fold.
        n_train: Images that each network trained on.
    """
    e: FoldMean = fold_mean(
        [accuracy(p) for p in found], n_train=n_train, n_test=min(len(p) for p in found)
    )
    return (
        f"{len(found)} folds: held-out accuracy {100 * e.mean:.2f} % (corrected 95 % interval "
        f"{100 * e.low:.2f} to {100 * e.high:.2f})"
    )


def spread_summary(table: npt.ArrayLike) -> str:
    """Return the spread of repeats, in one line for a terminal."""
    try:
        s: Spread = spread(table)
    except ValueError as error:  # as of a network that names one class for all images
        return (
            f"held-out accuracy {100 * np.asarray(table, dtype=np.float64).mean():.2f} %; {error}"
        )
    return (
        f"{s.repeats} repeats of {s.folds} folds: a single split moves by {points(s.single)} "
        f"points (standard deviation), the mean of {s.folds} folds by {points(s.mean)}; ratio "
        f"{s.ratio:.1f} ({s.ratio_interval[0]:.1f} to {s.ratio_interval[1]:.1f})"
    )


def catch_table(found: Mapping[str, Catch]) -> Table:
    """Return how well each way of looking hits the planted errors.

    Args:
        found: By the name of the way.
    """
    rows = [
        (
            label,
            f"{c.suspects:,}",
            f"{c.hits:,} of {c.wrong:,}",
            *("–" if math.isnan(s) else f"{100 * s:.1f} %" for s in (c.precision, c.recall)),
        )
        for label, c in found.items()
    ]
    columns = ("Suspects", "Images", "Planted errors among them", "Precision", "Recall")
    caption = (
        "Precision: the share of the suspects that are planted errors. Recall: the share of the "
        "planted errors that are suspects."
    )
    return Table(columns, rows, caption if rows else NOTHING)
