"""Figures about learning rates: schedules, a bowl with noise, a range test, epochs to a target.

As in `plots`, nothing is trained, nothing needs torch, and what is not recorded is left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cifar_lessons.canvas import MARKERS, BookFigure, empty_figure, new_axes, use_book_style
from cifar_lessons.config import Recipe
from cifar_lessons.reports import RunsByLabel
from cifar_lessons.targets import first_reach
from cifar_lessons.training.schedule import lr_factor

LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
STEPS = 64  # points an epoch: enough for a smooth line


def rates(
    arms: Mapping[str, Recipe], *, val_losses: Mapping[str, Sequence[float]] | None = None
) -> Figure:
    """Draw the learning rate of each recipe over its epochs, as `lr_factor` gives it.

    Args:
        arms: Recipes by label.
        val_losses: By label, the validation loss after each epoch. A plateau schedule follows it;
            without, it is drawn as what it is before it has seen any: constant.

    Raises:
        ValueError: Losses for a label that is not drawn.
    """
    losses = val_losses or {}
    unknown = sorted(losses.keys() - arms.keys())
    if unknown:
        raise ValueError(f"val_losses has {unknown[0]!r}, which is not among {list(arms)}")
    figure, axes = new_axes(7, 3.6)
    for index, (label, recipe) in enumerate(arms.items()):
        seen = losses.get(label, ())
        y = [
            recipe.optim.peak_lr
            * lr_factor(
                recipe.optim.schedule,
                step,
                steps_per_epoch=STEPS,
                epochs=recipe.epochs,
                val_losses=seen[: step // STEPS],
            )
            for step in range(STEPS * recipe.epochs)
        ]
        x = np.arange(len(y)) / STEPS
        line = LINES[index % len(LINES)]
        axes.plot(x, y, linestyle=line, color=f"C{index}", linewidth=2, label=label)
    axes.set(xlabel="epochs done", ylabel="learning rate", ylim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def by_step(
    values: Mapping[str, npt.NDArray[np.float64]],
    *,
    ylabel: str,
    floors: Mapping[str, float] | None = None,
) -> Figure:
    """Draw a positive number a step, on a logarithmic axis: a line for each label.

    Args:
        values: Shape (steps,) each, by label.
        ylabel: What the numbers are.
        floors: By label, a level that is drawn as a thin dotted line in its colour.
    """
    figure, axes = new_axes(7, 3.6)
    for index, (label, line) in enumerate(values.items()):
        look = LINES[index % len(LINES)]
        axes.plot(line, linestyle=look, color=f"C{index}", linewidth=2, label=label)
        if floors and label in floors:
            axes.axhline(floors[label], color=f"C{index}", linestyle=":", linewidth=1)
    axes.set(xlabel="step", ylabel=ylabel, yscale="log")
    axes.legend()
    return figure


def bowl(paths: Mapping[str, npt.NDArray[np.float64]], curvature: tuple[float, float]) -> Figure:
    """Draw paths over the contours of a bowl with two curvatures, a panel for each label.

    Args:
        paths: Points one after the other, shape (steps, 2), by label.
        curvature: Of both directions: the loss is half the sum of curvature times square.
    """
    use_book_style()
    figure = BookFigure(figsize=(3.2 * len(paths), 2.9), layout="constrained")
    panels = figure.subplots(1, len(paths), sharex=True, sharey=True, squeeze=False)[0]
    edge = 1.15 * max(float(np.abs(path).max()) for path in paths.values())
    grid = np.linspace(-edge, edge, 101)
    loss = 0.5 * (curvature[0] * grid[None, :] ** 2 + curvature[1] * grid[:, None] ** 2)
    for index, (axes, (label, path)) in enumerate(zip(panels, paths.items(), strict=True)):
        levels = np.geomspace(loss.max() / 300, loss.max(), 9)
        axes.contour(grid, grid, loss, levels=levels, colors="0.75", linewidths=0.8)
        axes.plot(path[:, 0], path[:, 1], "-", color=f"C{index}", linewidth=1)
        axes.plot(*path[0], "o", color="black", markersize=5)
        axes.plot(*path[-1], "X", color="black", markersize=8)
        axes.set_title(label, fontsize="medium")
        axes.grid(visible=False)
        axes.set_xlabel("steep weight")
    panels[0].set_ylabel("shallow weight")
    return figure


def range_test(
    found: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]],
    marks: Mapping[str, float] | None = None,
) -> Figure:
    """Draw losses against a growing rate: the smooth line, and the batches' own as dots.

    Args:
        found: Rates, losses and smooth losses of a range test, by label.
        marks: Rates to mark with a vertical line, by name.
    """
    figure, axes = new_axes(7, 3.6)
    highest = 0.0
    for index, (label, (x, losses, smooth)) in enumerate(found.items()):
        axes.plot(x, losses, ".", color=f"C{index}", alpha=0.35, markersize=5)
        look = LINES[index % len(LINES)]
        axes.plot(x, smooth, linestyle=look, color=f"C{index}", linewidth=2.5, label=label)
        highest = max(highest, 1.6 * losses[0])
    for index, (name, rate) in enumerate((marks or {}).items()):
        axes.axvline(rate, color="black", linestyle=LINES[(index + 1) % len(LINES)], linewidth=1)
        at = (rate, 0.97 - 0.07 * index)  # one below the other: the rates may be near
        side = "left" if index else "right"  # the first before its line: not across the next one
        axes.annotate(
            f" {name} ", at, xycoords=("data", "axes fraction"),
            va="top", ha=side, fontsize="small",
        )  # fmt: skip
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss of a batch")
    low = min(min(losses) for _, losses, _ in found.values())
    axes.set_ylim(0.9 * low, highest)  # an explosion would flatten all the rest
    if len(found) > 1:
        axes.legend(loc="lower left")
    return figure


def epochs_to_targets(found: RunsByLabel, targets: Sequence[float]) -> Figure:
    """Draw after how many epochs each seed first reaches a validation accuracy.

    Args:
        found: Runs by label, as from `available`.
        targets: Accuracies, fractions in [0, 1]. A seed that never gets there has a hollow mark
            behind the last epoch.
    """
    if not found:
        return empty_figure()
    figure, axes = new_axes(7, 1.2 + 0.5 * len(found))
    last = max(len(run.history) for seeds in found.values() for run in seeds)
    never = last + 1
    for index, target in enumerate(targets):
        shift = 0.22 * (index - (len(targets) - 1) / 2)
        points: list[tuple[float, float, bool]] = []
        for row, seeds in enumerate(found.values()):
            reached = [first_reach(run.history, target) for run in seeds]
            for seed, r in enumerate(reached):
                aside = 0.14 * (seed - (len(reached) - 1) / 2)  # so that equal seeds show
                points.append(((r.epoch if r else never) + aside, row + shift, r is not None))
        look: dict[str, Any] = {"color": f"C{index}", "marker": MARKERS[index], "linestyle": ""}
        for filled in (True, False):
            chosen = [(x, y) for x, y, there in points if there is filled]
            axes.plot(
                [x for x, _ in chosen],
                [y for _, y in chosen],
                **look,
                alpha=0.7,
                fillstyle="full" if filled else "none",
                label=f"{100 * target:g} %" if filled else None,
            )
    axes.axvline(last + 0.5, color="0.5", linewidth=1)
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.5, -0.5)  # the first on top
    axes.set_xlim(0, never + 0.6)
    ticks = list(range(0, last + 1, max(1, last // 6)))
    axes.set_xticks([*ticks, never], [*map(str, ticks), "not\nreached"])
    axes.set_xlabel("epochs until the validation accuracy first reaches the target")
    axes.legend(title="target", fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
