"""The whole book at a glance: what every recipe reaches for its cost, and how the claims fared.

As in `plots`, nothing is trained, nothing needs torch, and what is not recorded is left out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator, PercentFormatter

from cifar_lessons.canvas import MARKERS, empty_figure, new_axes
from cifar_lessons.evaluation.metrics import accuracy
from cifar_lessons.labelling import Box, place
from cifar_lessons.reports import RunsByLabel
from cifar_lessons.runs import Run

# Colour, hatch: told apart without colour too. In the order of `claims.VERDICTS`.
LOOKS = {
    "reproduced": ("C2", ""),
    "corrected": ("C1", "//"),
    "not measurable here": ("0.6", ".."),
    "open": ("0.85", ""),
}
# Behind a name, so that no line runs through its letters.
PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}


def accuracy_for_cost(found: RunsByLabel) -> Figure:
    """Draw test accuracy against core-minutes of a run: a dot a recipe, named, and its seeds.

    Colour and marker tell the kind of network. A dashed line joins the recipes that no other beats
    in both; they are named first, and where a figure is too full the others stay without a name.

    Args:
        found: Runs by label, as from `available`. Those that an accelerator trained are left out:
            its minutes are none of a processor's.
    """
    shown = {
        label: runs
        for label, seeds in found.items()
        if (runs := [run for run in seeds if run.provenance.get("threads")])
    }
    if not shown:
        return empty_figure()
    many = len(shown) > 20
    figure, axes = new_axes(7.2, 7.5 if many else 5.2)
    kinds = list(dict.fromkeys(_kind(runs[0]) for runs in shown.values()))
    spots, bars = {}, {}
    for label, runs in shown.items():
        values = [accuracy(run.logits("test")) for run in runs]
        spot = (float(np.mean([run.core_minutes for run in runs])), float(np.mean(values)))
        spots[label], bars[label] = spot, (min(values), max(values))
        index = kinds.index(_kind(runs[0]))
        colour = f"C{index % 10}"
        axes.vlines(spot[0], *bars[label], color=colour, linewidth=2, alpha=0.5)
        axes.plot(*spot, MARKERS[index % len(MARKERS)], color=colour, markersize=7)
    best = front(spots)
    axes.plot(*zip(*(spots[label] for label in best), strict=True), "--", color="0.6", zorder=0)
    axes.set_xscale("log")
    costs = [cost for cost, _ in spots.values()]
    axes.set_xlim(min(costs) / 1.6, max(costs) * 1.6)  # room for names
    low, high = min(b[0] for b in bars.values()), max(b[1] for b in bars.values())
    margin = max(0.12 * (high - low), 0.005)
    axes.set_ylim(low - margin, high + margin)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if high - low > 0.05 else 1))
    axes.set_xlabel("core-minutes of a run, on a logarithmic scale")
    axes.set_ylabel("test accuracy (dot: mean; bar: all seeds)")
    for index, kind in enumerate(kinds):
        look = MARKERS[index % len(MARKERS)]
        axes.plot([], [], look, color=f"C{index % 10}", label=kind)
    figure.legend(loc="outside upper center", ncols=min(len(kinds), 6), fontsize="small")
    order = [*best, *(label for label in spots if label not in best)]
    _name(figure, axes, {label: spots[label] for label in order}, bars)
    return figure


def front(spots: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the labels that no other beats in both, by rising cost.

    Args:
        spots: Cost and accuracy by label.
    """
    best: list[str] = []
    for label, (_, reached) in sorted(spots.items(), key=lambda item: (item[1][0], -item[1][1])):
        if not best or reached > spots[best[-1]][1]:
            best.append(label)
    return best


def verdicts(counts: Mapping[str, int]) -> Figure:
    """Draw how the claims fared: one bar, a piece for each verdict that any has.

    Args:
        counts: Claims by verdict, as from `claims.counts`.
    """
    total = sum(counts.values())
    if not total:
        return empty_figure()
    figure, axes = new_axes(7.2, 1.1)
    done = 0
    pieces = []
    for verdict, (colour, hatch) in LOOKS.items():
        if number := counts.get(verdict, 0):
            axes.barh(0, number, left=done, color=colour, hatch=hatch, edgecolor="white")
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5} if hatch else None
            axes.text(done + number / 2, 0, str(number), ha="center", va="center", bbox=box)
            pieces.append(Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=verdict))
            done += number
    axes.set_xlim(0, total)
    axes.axis("off")
    figure.legend(handles=pieces, loc="outside lower center", ncols=len(pieces), fontsize="small")
    return figure


def _kind(run: Run) -> str:
    """Return the kind of network of a run."""
    return str(run.recipe["model"]["name"])


def _name(
    figure: Figure,
    axes: Axes,
    spots: Mapping[str, tuple[float, float]],
    bars: Mapping[str, tuple[float, float]],
) -> None:
    """Write the labels beside their spots, with a thin line where one stands away."""
    size = 8 if len(spots) <= 30 else 7
    texts = [
        axes.annotate(label, spot, fontsize=size, ha="center", va="center", bbox=PAPER)
        for label, spot in spots.items()
    ]
    for text in texts:
        text.set_in_layout(False)  # or the axes would move while names are placed in them
    figure.draw_without_rendering()  # the layout, once
    to_pixels = axes.transData.transform
    points: Sequence[tuple[float, float]] = [tuple(p) for p in to_pixels(list(spots.values()))]
    extents = [text.get_window_extent() for text in texts]
    seeds: list[Box] = []
    for label, (cost, _) in spots.items():
        (x, bottom), (_, top) = to_pixels([(cost, end) for end in bars[label]])
        seeds.append((x - 2, bottom, x + 2, top))
    pixel, frame = figure.dpi / 72, axes.get_window_extent()  # pixels of a point
    centres = place(
        points,
        [(e.width + 2 * pixel, e.height) for e in extents],
        (frame.x0, frame.y0, frame.x1, frame.y1),
        obstacles=seeds,
        gap=4.5 * pixel,
        unit=pixel,
    )
    for text, point, extent, centre in zip(texts, points, extents, centres, strict=True):
        if centre is None:
            text.remove()
            continue
        offset = [(c - p) / pixel for c, p in zip(centre, point, strict=True)]
        text.set_anncoords("offset points")
        text.set_position((offset[0], offset[1]))
        half = (extent.width / 2 / pixel, extent.height / 2 / pixel)
        # From the nearest place on the edge of the name.
        start = [o - np.clip(o, -h, h) for o, h in zip(offset, half, strict=True)]
        if np.hypot(*start) > 9:
            line = {"arrowstyle": "-", "color": "0.5", "linewidth": 0.7, "shrinkA": 1, "shrinkB": 4}
            axes.annotate(
                "", text.xy, (start[0], start[1]), textcoords="offset points", arrowprops=line,
                zorder=0,
            ).set_in_layout(False)  # fmt: skip
