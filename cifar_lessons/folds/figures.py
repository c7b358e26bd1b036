"""Figures about folds and label errors. Nothing is trained; no torch.

Where something is not recorded yet, each of them says so in place of a picture.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cifar_lessons.canvas import MARKERS, BookFigure, empty_figure, new_axes, use_book_style

Ints = npt.NDArray[np.int64]


def partition(held_out: Sequence[Ints], labels: Ints) -> Figure:
    """Draw a row a fold: which images its network trains on, and which it is scored on.

    Args:
        held_out: Positions that each fold holds out.
        labels: Class of each image, shape (N,); few of them, or the marks run together.
    """
    figure, axes = new_axes(7, 0.8 + 0.35 * len(held_out))
    everything = np.arange(len(labels))
    looks = (("trains on", "C0", "o", "none"), ("is scored on", "C1", "s", "C1"))
    for row, out in enumerate(held_out):
        for (word, colour, marker, fill), where in zip(
            looks, (np.setdiff1d(everything, out), out), strict=True
        ):
            axes.plot(
                where, np.full(len(where), row), marker, color=colour, markerfacecolor=fill,
                markersize=6, label=word if row == 0 else None,
            )  # fmt: skip
    axes.set_yticks(range(len(held_out)), [f"fold {k}" for k in range(len(held_out))])
    axes.set_ylim(len(held_out) - 0.5, -0.5)
    axes.set_xticks(everything, [str(k) for k in labels])
    axes.set_xlabel("the class of each image")
    axes.grid(visible=False)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def strip(values: Mapping[str, Sequence[float]]) -> Figure:
    """Draw accuracies as dots, a row a label, with mean and standard deviation.

    Args:
        values: Accuracies by label, fractions; at least two each.
    """
    figure, axes = new_axes(7, 1 + 0.6 * len(values))
    for row, (label, found) in enumerate(values.items()):
        colour = f"C{row}"
        axes.plot(found, np.full(len(found), row), MARKERS[row], color=colour, alpha=0.6)
        sd, mean = float(np.std(found, ddof=1)), float(np.mean(found))
        axes.errorbar(mean, row + 0.25, xerr=sd, fmt="|", color=colour, capsize=4, label=label)
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("accuracy (bar: mean and one standard deviation)")
    return figure


def spreads(tables: Mapping[str, npt.ArrayLike | None]) -> Figure:
    """Draw all single splits, and beside them the means of each repeat: a panel an experiment.

    Args:
        tables: Accuracies by label, fractions, (R, K) each; None is left out.
    """
    found = {label: np.asarray(t) for label, t in tables.items() if t is not None}
    if not found:
        return empty_figure()
    use_book_style()
    figure = BookFigure(figsize=(max(4.5, 3.5 * len(found)), 3.6), layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (label, table) in zip(panels, found.items(), strict=True):
        repeats, folds = table.shape
        groups = (
            (f"{repeats * folds} single\nsplits", table.ravel(), "C0", "o"),
            (f"{repeats} means\nof {folds} folds", table.mean(axis=1), "C1", "D"),
        )
        for x, (_, values, colour, marker) in enumerate(groups):
            beside = np.linspace(-0.18, 0.18, len(values))
            axes.plot(x + beside, values, marker, color=colour, alpha=0.7, markersize=5)
            sd, mean = values.std(ddof=1), values.mean()
            axes.errorbar(x + 0.3, mean, yerr=sd, fmt="_", color="black", capsize=5)
        axes.set_xticks([0, 1], [name for name, *_ in groups])
        axes.set_xlim(-0.5, 1.5)
        axes.set_title(label, fontsize="medium")
        axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.4g}%")  # 75.25 in a narrow range
    panels[0].set_ylabel("accuracy (bar: mean and\none standard deviation)")
    return figure


def clouds(
    points: npt.NDArray[np.floating[Any]],
    given: Ints,
    *,
    wrong: npt.NDArray[np.bool_],
    suspects: Ints,
) -> Figure:
    """Draw labelled points of the plane, with the wrong labels and the suspects marked.

    Args:
        points: Shape (N, 2).
        given: The labels as they are, shape (N,).
        wrong: Whether each is wrong, shape (N,).
        suspects: Rows that a search names.
    """
    figure, axes = new_axes(6.5, 4.2)
    for label in np.unique(given):
        these = given == label
        axes.plot(
            *points[these].T, MARKERS[label], color=f"C{label}", markersize=4, alpha=0.6,
            label=f"labelled {label}",
        )  # fmt: skip
    axes.plot(
        *points[wrong].T, "o", markersize=11, markerfacecolor="none", markeredgecolor="black",
        label="label is wrong",
    )  # fmt: skip
    axes.plot(*points[suspects].T, "x", color="black", markersize=7, label="suspect")
    axes.set(xlabel="first number", ylabel="second number")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
    return figure


def precision_recall(rankings: Mapping[str, Ints], wrong: npt.NDArray[np.bool_] | None) -> Figure:
    """Draw precision and recall against the number of suspects that a person looks at.

    Args:
        rankings: Rows by label, the likeliest first.
        wrong: Whether each label is wrong, shape (N,); None where nothing is recorded.
    """
    if wrong is None or not rankings:
        return empty_figure()
    use_book_style()
    figure = BookFigure(figsize=(8, 3.4), layout="constrained")
    panels = figure.subplots(1, 2)
    for number, (label, rows) in enumerate(rankings.items()):
        hits, looked = np.cumsum(wrong[rows]), np.arange(1, len(rows) + 1)
        style = {"color": f"C{number}", "linestyle": ("-", "--", ":", "-.")[number % 4]}
        panels[0].plot(looked, hits / looked, label=label, **style)
        panels[1].plot(looked, hits / wrong.sum(), label=label, **style)
    for axes, name in zip(panels, ("precision", "recall"), strict=True):
        axes.axvline(wrong.sum(), color="black", linewidth=0.8, label="as many as were planted")
        axes.set(xlabel="suspects looked at", ylabel=name, ylim=(0, 1.03))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panels[1].legend(fontsize="small", loc="lower right")
    return figure
