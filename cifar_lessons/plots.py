"""Figures of the book, drawn from recorded runs and arrays: nothing is trained, no torch.

Each function returns a `Figure` that a notebook shows as it is. Words and tables about the same
runs are in `reports`, and can be had from here too. Recipes without runs are left out, and where
none is left the figure says so: a page never fails for a run that is not recorded yet.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from cifar_lessons.canvas import MARKERS, use_book_style
from cifar_lessons.canvas import BookFigure as _BookFigure
from cifar_lessons.canvas import empty_figure as _empty
from cifar_lessons.canvas import new_axes as _axes
from cifar_lessons.evaluation import metrics
from cifar_lessons.reports import (
    RunsByLabel,
    available,
    card,
    estimate,
    missing_note,
    recipe_diff,
    results_table,
    targets_table,
)

__all__ = [
    "accuracy_against",
    "available",
    "by_layer",
    "card",
    "channel_histograms",
    "compare",
    "confusion",
    "curves",
    "image_grid",
    "lines",
    "missing_note",
    "recipe_diff",
    "results_table",
    "shares",
    "targets_table",
    "train_and_validation",
    "use_book_style",
]


def curves(found: RunsByLabel, *, column: str = "val_accuracy") -> Figure:
    """Draw a column of the history against epochs: the mean, and a band over all seeds.

    Args:
        found: Runs by label, as from `available`.
        column: Of `history.csv`. Runs without it (as `val_accuracy` where nothing was held out)
            are named in the legend as such.
    """
    if not found:
        return _empty()
    figure, axes = _axes(7, 4)
    for index, (label, seeds) in enumerate(found.items()):
        rows = [[row for row in run.history if column in row] for run in seeds]
        epochs = min(len(r) for r in rows)
        if not epochs:
            axes.plot([], [], color=f"C{index}", label=f"{label}: has no {column}")
            continue
        x = [row["epoch"] for row in rows[0][:epochs]]
        y = np.array([[row[column] for row in r[:epochs]] for r in rows])  # (seeds, epochs)
        name = f"{label} ({len(seeds)} seed{'s' * (len(seeds) > 1)})"
        marker = MARKERS[index % len(MARKERS)]
        axes.plot(x, y.mean(axis=0), f"-{marker}", color=f"C{index}", markersize=4, label=name)
        axes.fill_between(x, y.min(axis=0), y.max(axis=0), color=f"C{index}", alpha=0.2, lw=0)
    axes.set(xlabel="epoch", ylabel=column.replace("val_", "validation ").replace("_", " "))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if "accuracy" in column:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend()
    return figure


def compare(found: RunsByLabel) -> Figure:
    """Draw test accuracies: a small dot a seed, the mean, and its 95 % interval."""
    if not found:
        return _empty()
    figure, axes = _axes(7, 1 + 0.6 * len(found))
    for index, seeds in enumerate(found.values()):
        e = estimate(seeds)
        values = [metrics.accuracy(run.logits("test")) for run in seeds]
        below = [index + 0.25] * len(values)
        axes.plot(values, below, "o", color=f"C{index}", alpha=0.6, markersize=4)
        axes.errorbar(
            e.mean, index, xerr=e.half_width, color=f"C{index}", fmt="D", capsize=5, markersize=7
        )
        axes.annotate(
            f"{100 * e.mean:.1f}", (e.mean, index), xytext=(0, 8), textcoords="offset points",
            ha="center", fontsize="small",
        )  # fmt: skip
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.5, -0.7)  # the first on top
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.4g}%")  # 74.5 in a narrow range
    # Two lines, or long names on the left push the end of it off the figure.
    axes.set_xlabel("test accuracy\n(small dots: seeds; bar: mean and 95 % interval)")
    return figure


def accuracy_against(found: RunsByLabel, x: Literal["parameters", "core_minutes"]) -> Figure:
    """Draw mean test accuracy with its interval against what it costs, on a logarithmic axis.

    Args:
        found: Runs by label, as from `available`.
        x: Trained `parameters`, or mean `core_minutes` of a run.

    Raises:
        ValueError: Another cost.
    """
    if x not in ("parameters", "core_minutes"):
        raise ValueError(f"x must be 'parameters' or 'core_minutes', got {x!r}")
    if not found:
        return _empty()
    many = len(found) > 6
    figure, axes = _axes(9 if many else 7, 4.5 if many else 4)
    for index, (label, seeds) in enumerate(found.items()):
        e = estimate(seeds)
        cost = float(np.mean([getattr(run, x) for run in seeds]))
        marker = MARKERS[(index + index // 10) % len(MARKERS)]  # colours repeat after 10
        axes.errorbar(
            cost, e.mean, yerr=e.half_width, fmt=marker, color=f"C{index}", capsize=4, label=label
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 2M, not 2 x 10^6
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    names = {"parameters": "parameters", "core_minutes": "core-minutes a run"}
    axes.set(xlabel=names[x], ylabel="test accuracy")
    if many:  # a long legend would lie on the points
        axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    else:
        axes.legend(fontsize="small")
    return figure


def image_grid(
    images: npt.NDArray[np.uint8],
    titles: Sequence[str] = (),
    *,
    columns: int = 10,
    inches: float = 0.85,
) -> Figure:
    """Draw small images side by side.

    Args:
        images: uint8, shape (N, 3, H, W) or (N, H, W, 3).
        titles: One for each image, or none.
        columns: Images in a row, >= 1.
        inches: Width of an image on the page, > 0.

    Raises:
        ValueError: Another shape or type, titles of another number, or a size below its range.
    """
    shape = images.shape
    if (
        images.ndim != 4
        or 3 not in (shape[1], shape[3])
        or images.dtype != np.uint8
        or not shape[0]
    ):
        raise ValueError(
            f"images must be uint8, (N, 3, H, W) or (N, H, W, 3) with N >= 1, got {images.dtype} "
            f"{shape}; give the pixels before normalisation"
        )
    if len(titles) not in (0, len(images)):
        raise ValueError(f"{len(titles)} titles for {len(images)} images; give one each, or none")
    if columns < 1:
        raise ValueError(f"columns must be >= 1, got {columns}; 10 is the default")
    if inches <= 0:
        raise ValueError(f"inches must be > 0, got {inches}; 0.85 is the default")
    pixels = images if shape[3] == 3 else images.transpose(0, 2, 3, 1)
    columns = min(columns, len(pixels))
    lines = -(-len(pixels) // columns)
    use_book_style()
    titled = sum(any(titles[i : i + columns]) for i in range(0, len(titles), columns))
    figure = _BookFigure(figsize=(inches * columns, inches * lines + 0.2 * titled))
    figure.set_layout_engine("constrained", w_pad=0.03, h_pad=0.03, wspace=0, hspace=0)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for index, (axes, image) in enumerate(zip(grid.flat, pixels, strict=False)):
        axes.imshow(image, interpolation="nearest")
        if titles:
            axes.set_title(titles[index], fontsize=8, pad=2)
    return figure


def confusion(predictions: metrics.Predictions, classes: Sequence[str]) -> Figure:
    """Draw how often images of one class are called another, in percent of the true class.

    Args:
        predictions: Of one run.
        classes: Names of the K classes.

    Raises:
        ValueError: Another number of names than classes.
    """
    import seaborn

    counts = metrics.confusion(predictions)
    if len(classes) != len(counts):
        raise ValueError(f"{len(classes)} names for {len(counts)} classes; give one for each")
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2 + 0.55 * len(classes)
    figure, axes = _axes(side, side - 0.5)
    seaborn.heatmap(
        share, annot=True, fmt=".0f", cmap="Blues", vmin=0, vmax=100, cbar=False, square=True,
        xticklabels=list(classes), yticklabels=list(classes), ax=axes, linewidths=0.5,
    )  # fmt: skip
    axes.set(xlabel="predicted", ylabel="true", title="percent of the images of each true class")
    axes.set_xticklabels(axes.get_xticklabels(), rotation=45, ha="right")
    axes.set_yticklabels(axes.get_yticklabels(), rotation=0)
    return figure


def channel_histograms(inputs: Mapping[str, npt.NDArray[Any]]) -> Figure:
    """Draw how the numbers of each colour channel spread: a panel for each input.

    Args:
        inputs: Images by label, shape (N, 3, H, W), of any type and range; each panel has its own.

    Raises:
        ValueError: No input, or another shape.
    """
    if not inputs:
        raise ValueError("inputs must hold at least one batch of images, got none")
    for label, images in inputs.items():
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"{label!r} must be (N, 3, H, W), got {images.shape}")
    use_book_style()
    figure = _BookFigure(figsize=(3 * len(inputs), 2.8), layout="constrained")
    panels = figure.subplots(1, len(inputs), squeeze=False)[0]
    # Colours of the palette that are nearest to the channel's own, and a line for each besides.
    looks = (("red", "C3", "-"), ("green", "C2", "--"), ("blue", "C0", ":"))
    for axes, (label, images) in zip(panels, inputs.items(), strict=True):
        for channel, (name, colour, line) in enumerate(looks):
            low, high = (float(end) for end in (images[:, channel].min(), images[:, channel].max()))
            # Pixels have 256 levels, whatever their range: 4 in a bin, and no level on its edge.
            half = (high - low) / 255 / 2
            count, ends = np.histogram(images[:, channel], bins=64, range=(low - half, high + half))
            axes.stairs(
                count / count.sum(), ends, baseline=None, color=colour, linestyle=line,
                linewidth=1.8, label=name,
            )  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_title(label, fontsize="medium")
        axes.set_xlabel("the number that is fed in")
        axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.3g}%")
        axes.yaxis.set_major_locator(MaxNLocator(3))
    panels[0].set_ylabel("share of the pixels")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def by_layer(values: Mapping[str, Sequence[float]], *, ylabel: str) -> Figure:
    """Draw one positive number a layer, on a logarithmic axis: a line for each label.

    Args:
        values: From the layer next to the image to the one next to the logits, by label.
        ylabel: What the numbers are.
    """
    figure, axes = _axes(7, 4)
    for index, (label, layers) in enumerate(values.items()):
        numbers = range(1, len(layers) + 1)
        axes.plot(numbers, layers, f"-{MARKERS[index]}", markersize=5, label=label)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="convolution, from the image (1) to the logits", ylabel=ylabel)
    axes.legend()
    return figure


def shares(counts: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw how quantities are shared out among parts, in percent of each quantity's total.

    Args:
        counts: For each quantity, such as `parameters`, its count in each part, such as a layer.
            The parts of the first quantity are drawn, from top to bottom.

    Raises:
        ValueError: No quantity, or one that sums to 0.
    """
    totals = {name: sum(parts.values()) for name, parts in counts.items()}
    if not all(totals.values()) or not totals:
        raise ValueError(f"each quantity must have a total above 0, got {totals}")
    parts = list(next(iter(counts.values())))
    figure, axes = _axes(7, 0.8 + 0.3 * len(parts) * len(counts))
    thick = 0.8 / len(counts)
    for index, (name, count) in enumerate(counts.items()):
        at = np.arange(len(parts)) + thick * (index + 0.5) - 0.4
        bars = axes.barh(
            at, [count[part] / totals[name] for part in parts], height=0.9 * thick, label=name,
            color=f"C{index}", hatch="" if index % 2 == 0 else "//", edgecolor="white",
        )  # fmt: skip
        axes.bar_label(bars, fmt="{:.1%}", padding=4, fontsize="small")
    axes.set_yticks(range(len(parts)), parts)
    axes.set_ylim(len(parts) - 0.5, -0.5)  # the first on top
    axes.set_xlim(0, 1.15)  # room for the numbers
    axes.set_xticks(np.linspace(0, 1, 5))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("share of the total")
    axes.grid(visible=False, axis="y")
    axes.legend(loc="lower right", fontsize="small")
    return figure


def train_and_validation(
    found: RunsByLabel, *, metric: Literal["accuracy", "loss"] = "accuracy"
) -> Figure:
    """Draw training against validation, a panel a recipe: the gap between them is overfitting.

    Both are means over the seeds. The training line is a mean over an epoch while the network
    learns, on augmented images and with dropout; validation comes after it, without either. So
    early on the validation line may well be the better one.

    Args:
        found: Runs by label, as from `available`. Without validation, a run has one line.
        metric: Which of the two columns of the history.
    """
    if not found:
        return _empty()
    use_book_style()
    figure = _BookFigure(figsize=(max(4.0, 3.0 * len(found)), 3.2), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    looks = (("training", "train", "-s"), ("validation", "val", "--o"))
    for axes, (label, seeds) in zip(panels, found.items(), strict=True):
        epochs = range(min(len(run.history) for run in seeds))
        rows = [[run.history[e] for run in seeds] for e in epochs]
        for index, (name, split, look) in enumerate(looks):
            column = f"{split}_{metric}"
            if all(column in run for row in rows for run in row):
                y = [np.mean([run[column] for run in row]) for row in rows]
                x = [e + 1 for e in epochs]
                axes.plot(x, y, look, color=f"C{index}", markersize=4, label=name)
        axes.set_title(f"{label} ({len(seeds)} seed{'s' * (len(seeds) > 1)})", fontsize="medium")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if metric == "accuracy":
        panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panels[0].set_ylabel(metric)
    panels[0].legend(fontsize="small")
    return figure


def lines(
    x: Sequence[float],
    values: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    log: bool = False,
) -> Figure:
    """Draw several quantities against the same numbers: a line with markers for each label.

    Args:
        x: Where they were taken.
        values: One number for each of `x`, by label; nothing to draw says so in the figure.
        xlabel: What `x` is, with its unit.
        ylabel: What the numbers are, with their unit.
        log: Both axes logarithmic.

    Raises:
        ValueError: A line of another length than `x`.
    """
    if not values:
        return _empty()
    figure, axes = _axes(7, 3.6)
    for index, (label, y) in enumerate(values.items()):
        if len(y) != len(x):
            raise ValueError(f"{label!r} has {len(y)} numbers for {len(x)} places; give one each")
        marker = MARKERS[index % len(MARKERS)]
        axes.plot(list(x), [float(v) for v in y], f"-{marker}", markersize=4, label=label)
    if log:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend()
    return figure
