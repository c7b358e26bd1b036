"""Figures of what few labels are worth, and of what features know: no torch, nothing trained."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from cifar_lessons.canvas import MARKERS, BookFigure, empty_figure, new_axes, use_book_style
from cifar_lessons.evaluation.metrics import Estimate, mean_interval
from cifar_lessons.pretraining.report import Trained
from cifar_lessons.pretraining.results import MUST, SHARES, Recorded, spelled


def share_curves(trained: Trained, probes: Recorded | None) -> Figure:
    """Draw accuracy against the share of labels: a solid line an arm, a dashed one a probe.

    Args:
        trained: From `results.trained`.
        probes: From `results.recorded`.
    """
    recorded = [*trained.values(), *(probes.probes.values() if probes else ())]
    if sum(map(len, recorded)) < 2:  # a single point is no curve
        return empty_figure()
    figure, axes = new_axes(7.5, 5)
    curves: list[tuple[str, str, dict[float, Estimate]]] = []
    for arm, by_share in trained.items():
        means = {s: mean_interval([r.logits("test") for r in by_share[s]]) for s in by_share}
        curves.append((arm, "-", means))
    for network in probes.probes if probes else ():
        assert probes is not None
        found = {s: e for s in SHARES if (e := probes.estimate(network, s)) is not None}
        curves.append((f"linear on frozen {network}", "--", found))
    for index, (label, line, points) in enumerate(curves):
        _curve(axes, points, label=label, line=line, index=index, of=len(curves))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(SHARES))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(SHARES, [spelled(share) for share in SHARES])
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))  # as many decimals as the ticks need
    axes.set(xlabel="share of the labels", ylabel="test accuracy")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    return figure


def _curve(
    axes: Axes, points: dict[float, Estimate], *, label: str, line: str, index: int, of: int
) -> None:
    """Draw one line with error bars, moved aside a little so that bars do not hide each other."""
    # A share that the claim needs and nobody has measured yet is a gap in the line.
    gaps = {s for s in MUST if min(points) < s < max(points)} - points.keys()
    shares = sorted({*points, *gaps})
    height, error = (
        [getattr(points[s], part) if s in points else np.nan for s in shares]
        for part in ("mean", "half_width")
    )
    aside = 1.025 ** (index - (of - 1) / 2)
    axes.errorbar(
        [share * aside for share in shares],
        height,
        yerr=error,
        fmt=f"{line}{MARKERS[index % len(MARKERS)]}",
        color=f"C{index}",
        markersize=5,
        capsize=3,
        label=label,
    )


def by_class(
    places: npt.NDArray[np.floating], labels: npt.NDArray[np.int64], classes: Sequence[str]
) -> Figure:
    """Draw images as points in a plane, a colour and a marker a class.

    Args:
        places: (N, 2), such as t-SNE gives.
        labels: Of the images, (N,).
        classes: Names.

    Raises:
        ValueError: Places of another shape, or labels of another number.
    """
    if places.ndim != 2 or places.shape[1] != 2 or len(places) != len(labels):
        raise ValueError(
            f"places must be (N, 2) with N labels, got {places.shape} and {len(labels)} labels; "
            "project the features to two numbers first"
        )
    use_book_style()
    figure = BookFigure(figsize=(7, 4.6), layout="constrained")
    axes = figure.add_subplot()
    for k, name in enumerate(classes):
        x, y = places[labels == k].T
        marker = MARKERS[k % len(MARKERS)]
        axes.scatter(x, y, s=14, marker=marker, color=f"C{k}", alpha=0.8, lw=0, label=name)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small", markerscale=2)
    return figure
