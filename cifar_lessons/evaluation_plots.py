"""Figures of evaluation: classes and their intervals, reliability, bootstrap, noise, resolution.

As in `plots`, nothing is trained, nothing needs torch, and what is not recorded is left out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cifar_lessons.canvas import MARKERS, BookFigure, empty_figure, new_axes, use_book_style
from cifar_lessons.evaluation.calibration import BINS, reliability
from cifar_lessons.evaluation.contrasts import class_intervals, contrast
from cifar_lessons.evaluation.metrics import Estimate, Predictions, mean_interval
from cifar_lessons.evaluation.resampling import Bootstrap
from cifar_lessons.evaluation.resolution import Noise, smallest_difference

Floats = npt.NDArray[np.float64]

__all__ = [
    "bootstrap_draws",
    "class_accuracies",
    "gaps",
    "noises",
    "reliability_diagrams",
    "resolution",
]


def class_accuracies(networks: Mapping[str, Predictions], classes: Sequence[str]) -> Figure:
    """Draw the accuracy of each class with Wilson's 95 % interval, a colour a network.

    Args:
        networks: Predictions by name.
        classes: Names of the K classes.

    Raises:
        ValueError: Another number of names than classes, or a class without images.
    """
    if not networks:
        return empty_figure()
    figure, axes = new_axes(7, 1.2 + 0.2 * len(classes) * max(2, len(networks)))
    rows = np.arange(len(classes))
    for index, (name, predictions) in enumerate(networks.items()):
        values, ends = class_intervals(predictions)
        if len(values) != len(classes):
            raise ValueError(f"{len(classes)} names for {len(values)} classes; give one for each")
        reach = np.abs(ends.T - values)  # to either side: the interval is not symmetric
        shift = 0.7 * ((index + 0.5) / len(networks) - 0.5)
        axes.errorbar(
            values, rows + shift, xerr=reach, fmt=MARKERS[index], color=f"C{index}", capsize=3,
            markersize=5, label=name,
        )  # fmt: skip
    axes.set_yticks(rows, list(classes))
    axes.set_ylim(len(classes) - 0.4, -0.6)  # the first on top
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("accuracy on the test images of the class,\nwith Wilson's 95 % interval")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def gaps(
    found: Mapping[str, Sequence[Predictions]],
    weights: Mapping[int, float],
    *,
    claimed: tuple[float, float],
    ylabel: str,
) -> Figure:
    """Draw a difference between classes against the accuracy: a point a recipe, both intervals.

    Two seeds give intervals that are several times longer than any others, by Student's t. The
    axes are made for the others; what reaches beyond is cut off.

    Args:
        found: Predictions of all seeds by recipe.
        weights: Of the classes, as from `contrasts.gap_weights`.
        claimed: Ends of a band to draw, as fractions.
        ylabel: What the difference is.
    """
    if not found:
        return empty_figure()
    columns = 3
    figure, axes = new_axes(8.5, 4.8 + 0.17 * len(found) / columns)  # and the rows of the legend
    both = {name: (mean_interval(runs), contrast(runs, weights)) for name, runs in found.items()}
    for index, (name, (across, up)) in enumerate(both.items()):
        # Colours repeat after 10: then the marker is another one.
        axes.errorbar(
            across.mean, up.mean, xerr=across.half_width, yerr=up.half_width, capsize=2,
            fmt=MARKERS[(index + index // 10) % len(MARKERS)], color=f"C{index}", markersize=6,
            elinewidth=1, label=f"{name} (n = {len(found[name])})",
        )  # fmt: skip
    axes.axhspan(*claimed, color="0.6", alpha=0.4, linewidth=0, label="the article")
    axes.set_xlim(*_limits([across for across, _ in both.values()]))
    axes.set_ylim(0, _limits([up for _, up in both.values()])[1])
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.4g}%")  # 72.5 in a narrow range
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}")
    axes.set(xlabel="test accuracy over all classes", ylabel=ylabel)
    figure.legend(fontsize="x-small", loc="outside lower center", ncols=columns)
    return figure


def _limits(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """Return the ends of an axis: all means, and the intervals that are not from two seeds."""
    ends = [end for e in estimates if e.n != 2 for end in (e.low, e.high)]
    ends += [e.mean for e in estimates]
    margin = 0.05 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin


def reliability_diagrams(
    networks: Mapping[str, Predictions], *, bins: int = BINS, adaptive: bool = False
) -> Figure:
    """Draw accuracy against confidence, a panel a network, over how many images each bin has.

    Args:
        networks: Predictions by label.
        bins: Of confidence.
        adaptive: Bins of equally many images; else of equal width.
    """
    if not networks:
        return empty_figure()
    use_book_style()
    figure = BookFigure(figsize=(max(3.6, 3.0 * len(networks)), 4.2), layout="constrained")
    panels = figure.subplots(
        2, len(networks), sharex=True, sharey="row", squeeze=False, height_ratios=(3, 1)
    )
    for column, (name, predictions) in enumerate(networks.items()):
        found = reliability(predictions, bins=bins, adaptive=adaptive)
        upper, lower = panels[:, column]
        share = found.counts / found.counts.sum()
        _diagram(upper, found.confidence, found.accuracy, share)
        upper.set_title(f"{name}\ncalibration error {100 * found.error:.1f} points", fontsize=10)
        lower.stairs(share, found.edges, fill=True, color="0.6")
        lower.set_xlabel("confidence")
    panels[0, 0].set_ylabel("share that is right")
    panels[1, 0].set_ylabel("images")
    for axes in (*panels[0], *panels[1]):
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    # Below the panels: inside, it would cover points.
    handles, labels = panels[0, 0].get_legend_handles_labels()
    columns = 3 if len(networks) > 1 else 1  # three are wider than one panel
    figure.legend(handles, labels, fontsize="small", loc="outside lower center", ncols=columns)
    return figure


def _diagram(axes: Axes, sure: Floats, right: Floats, share: Floats) -> None:
    """Draw the bins as points, larger where there are more images, and their gaps as lines."""
    axes.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1, label="as promised")
    axes.vlines(sure, sure, right, color="C1", linewidth=3, alpha=0.6, label="gap")
    size = 12 + 250 * share
    axes.scatter(sure, right, s=size, color="C0", zorder=3, clip_on=False, label="measured")
    axes.set(xlim=(0, 1), ylim=(0, 1))


def bootstrap_draws(
    found: Mapping[str, Bootstrap], formula: Mapping[str, Estimate] | None = None
) -> Figure:
    """Draw what a metric became in the draws, a row each, with both intervals.

    Args:
        found: Bootstraps by label, fractions.
        formula: Intervals by the same labels, drawn below as a bar.
    """
    if not found:
        return empty_figure()
    use_book_style()
    figure = BookFigure(figsize=(7, 0.9 + 1.2 * len(found)), layout="constrained")
    rows = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for index, (axes, (name, boot)) in enumerate(zip(rows, found.items(), strict=True)):
        count, edges = np.histogram(boot.draws, bins=40)
        axes.stairs(count, edges, fill=True, color=f"C{index}", alpha=0.35)
        top = float(count.max())
        axes.plot([boot.low, boot.high], [-0.12 * top] * 2, "|-", color=f"C{index}", linewidth=3)
        if formula and name in formula:
            e = formula[name]
            axes.plot([e.low, e.high], [-0.3 * top] * 2, "|-", color="black", linewidth=1.5)
        axes.set_ylim(-0.42 * top, 1.05 * top)
        axes.set_yticks([])
        axes.set_title(name, fontsize="small", loc="left")
        axes.grid(visible=False, axis="y")
    rows[-1].xaxis.set_major_formatter(lambda x, _: f"{100 * x:.4g}%")
    ends = "thick: 95 % of the draws" + ("; thin: the formula's interval" if formula else "")
    rows[-1].set_xlabel(ends)
    return figure


def resolution(disagreements: Mapping[str, float], *, images: int = 10_000) -> Figure:
    """Draw the smallest difference that N paired images show with a chance of 80 %.

    Args:
        disagreements: By label, the share of images where exactly one of two networks is right.
        images: Marked with a vertical line.
    """
    figure, axes = new_axes(7, 5)
    x = np.geomspace(500, 1_000_000, 60)
    for index, (name, share) in enumerate(disagreements.items()):
        y = [smallest_difference(round(n), share) for n in x]
        axes.plot(x, y, "-", marker=MARKERS[index], markevery=12, color=f"C{index}", label=name)
    axes.axvline(images, color="black", linestyle="--", linewidth=1)
    axes.annotate(
        f" {images:,} images", (images, 0.97), xycoords=("data", "axes fraction"), va="top",
        fontsize="small",
    )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="test images", ylabel="points")
    axes.set_yticks([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05])
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:,.0f}")
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g}")
    # Below the axes: inside, it would cover curves just right of the line.
    figure.legend(fontsize="small", title="exactly one is right on", loc="outside lower center")
    return figure


def noises(found: Mapping[str, Noise]) -> Figure:
    """Draw how far one run's accuracy moves with the seed and with the images, a row a recipe."""
    if not found:
        return empty_figure()
    figure, axes = new_axes(7, 1.3 + 0.5 * len(found))
    rows = np.arange(len(found))
    looks = (("another seed", "seeds", "C0", ""), ("other test images", "images", "C1", "//"))
    for index, (label, name, colour, hatch) in enumerate(looks):
        axes.barh(
            rows + 0.38 * index - 0.19, [getattr(noise, name) for noise in found.values()],
            height=0.36, color=colour, hatch=hatch, edgecolor="white", label=label,
        )  # fmt: skip
    axes.set_yticks(rows, [f"{name} (n = {noise.n})" for name, noise in found.items()])
    axes.set_ylim(len(found) - 0.5, -0.5)  # the first on top
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:g}")
    axes.set_xlabel("standard deviation of one run's accuracy, in points")
    axes.grid(visible=False, axis="y")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
