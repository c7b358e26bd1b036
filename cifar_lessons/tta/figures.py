"""Figures of what views gain, from the recorded study: no torch, nothing measured.

Each takes the study as `results.recorded` gives it; where that is None, the figure says so.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cifar_lessons.canvas import MARKERS, BookFigure, empty_figure, use_book_style
from cifar_lessons.evaluation.merging import Merge
from cifar_lessons.tta.results import SETS, Network, Recorded

LOWEST = -1.5  # points; what loses more is drawn at the edge, with its number
MOST_IN_A_ROW = 3  # panels


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """Return a figure with a panel for each network, in rows, on shared axes."""
    use_book_style()
    rows = -(-count // MOST_IN_A_ROW)
    columns = -(-count // rows)  # four make two rows of two
    size = (6.5 if columns == 1 else 9, 0.8 + 2.9 * rows)
    figure = BookFigure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for spare in grid.flat[count:]:
        spare.axis("off")
    return figure, list(grid.flat[:count])


def gain_against_passes(study: Recorded | None, merged: Merge = "logits") -> Figure:
    """Draw the gain of each set against what it costs, with its interval: a panel a network.

    Args:
        study: As recorded.
        merged: What is averaged.
    """
    if study is None or not study.networks:
        return empty_figure()
    figure, panels = _panels(len(study.networks))
    for axes, net in zip(panels, study.networks.values(), strict=True):
        _gains(axes, net, merged)
        axes.set(xlabel="forward passes", ylabel="points gained")
        axes.label_outer()
    handles = [
        Line2D([], [], color=f"C{i}", marker=MARKERS[i], ls="", label=name)
        for i, name in enumerate(SETS)
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(SETS) // 2 if len(panels) > 1 else 3,
        fontsize="small",
    )
    return figure


def _gains(axes: Axes, net: Network, merged: Merge) -> None:
    passes = [net.test.cells[name][merged].passes for name in SETS]
    for index, name in enumerate(SETS):
        cell = net.test.cells[name][merged]
        # Sets of equal cost stand side by side.
        same = [i for i, p in enumerate(passes) if p == cell.passes]
        x = cell.passes + 0.2 * (same.index(index) - (len(same) - 1) / 2)
        gain, look = 100 * cell.gain.mean, MARKERS[index]
        if gain < LOWEST:
            axes.plot(x, LOWEST, look, color=f"C{index}", label=name)
            axes.annotate(
                f"{gain:.1f}".replace("-", "−"), (x, LOWEST), xytext=(0, 8), fontsize="small",
                textcoords="offset points", ha="center", rotation=90,
            )  # fmt: skip
        else:
            axes.errorbar(
                x, gain, yerr=100 * cell.gain.half_width, fmt=look, capsize=3,
                color=f"C{index}", label=name,
            )  # fmt: skip
    axes.axhline(0, color="0.4", lw=1, ls=":")
    axes.set_ylim(bottom=LOWEST - 0.2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    # On two lines: the longest name of a recipe is as wide as a panel.
    axes.set_title(f"{net.name}\n({100 * net.accuracy:.1f} %)", fontsize="small")


def corrected_and_broken(study: Recorded | None, *, networks: Sequence[str] = ()) -> Figure:
    """Draw how many test images each set corrects and how many it breaks, logits averaged.

    Args:
        study: As recorded.
        networks: Whose; without, the most accurate one's and the least accurate one's.
    """
    if study is None or not study.networks:
        return empty_figure()
    ends = list(study.networks)
    chosen = [n for n in networks if n in study.networks] or list(
        dict.fromkeys([ends[0], ends[-1]])
    )
    use_book_style()
    figure = BookFigure(figsize=(4.6 * len(chosen), 4.2), layout="constrained")
    panels = figure.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, chosen, strict=True):
        net = study.networks[name]
        cells = [net.test.cells[s]["logits"] for s in SETS]
        widest = max(max(c.corrected, c.broken) for c in cells)
        for side, counts, colour, hatch in (
            ("corrected", [c.corrected for c in cells], "C0", ""),
            ("broken", [-c.broken for c in cells], "C1", "//"),
        ):
            bars = axes.barh(
                range(len(SETS)), counts, color=colour, hatch=hatch, edgecolor="white", label=side
            )
            # A bar of no length has no side for its number to stand on.
            words = [str(abs(c)) if c else "" for c in counts]
            axes.bar_label(bars, words, fontsize="small", padding=2)
        axes.axvline(0, color="0.3", lw=1)
        axes.set_xlim(-1.3 * widest, 1.3 * widest)
        axes.xaxis.set_major_formatter(lambda x, _: f"{abs(x):g}")
        axes.set_title(f"{name} ({100 * net.accuracy:.1f} %)", fontsize="medium")
        axes.set_xlabel(f"images of {net.test.images:,}")
        axes.grid(visible=False, axis="y")
    panels[0].set_yticks(range(len(SETS)), SETS)
    panels[0].set_ylim(len(SETS) - 0.5, -0.5)  # the first on top
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize="small")
    return figure


def views_alone(study: Recorded | None) -> Figure:
    """Draw the test accuracy of a single look at each view: a mark for each network."""
    if study is None or not study.networks:
        return empty_figure()
    use_book_style()
    figure = BookFigure(figsize=(7.5, 5.4), layout="constrained")
    axes = figure.subplots()
    views = list(next(iter(study.networks.values())).test.views)
    for index, net in enumerate(study.networks.values()):
        shares = [net.test.views[view] / net.test.images for view in views]
        axes.plot(
            shares, range(len(views)), MARKERS[index % len(MARKERS)], color=f"C{index}",
            markersize=6, label=net.name,
        )  # fmt: skip
    axes.set_yticks(range(len(views)), views)
    axes.set_ylim(len(views) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("test accuracy of one look at this view")
    figure.legend(loc="outside lower center", ncols=3, fontsize="small")
    return figure


def by_class(
    study: Recorded | None,
    *,
    network: str = "",
    sets: Sequence[str] = ("flip", "vertical_flip", "rotations_90"),
) -> Figure:
    """Draw what some sets gain or lose in each class, logits averaged.

    Args:
        study: As recorded.
        network: Whose; without, or where it is not there, the most accurate one's.
        sets: Names of sets.
    """
    if study is None or not study.networks:
        return empty_figure()
    net = study.networks.get(network) or list(study.networks.values())[-1]
    use_book_style()
    figure = BookFigure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    classes = net.facts["classes"]
    # Images of each class: the same number of all, in CIFAR's test sets.
    each = net.test.images / len(classes)
    thick = 0.8 / len(sets)
    for index, name in enumerate(sets):
        change = np.subtract(net.test.by_class[name], net.test.by_class["none"]) / each
        at = np.arange(len(classes)) + thick * (index + 0.5) - 0.4
        axes.bar(
            at, 100 * change, 0.9 * thick, color=f"C{index}", hatch=("", "//", "..")[index % 3],
            edgecolor="white", label=name,
        )  # fmt: skip
    axes.axhline(0, color="0.3", lw=1)
    axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
    axes.set_ylabel("points of the class")
    axes.set_title(f"{net.name} ({100 * net.accuracy:.1f} %)", fontsize="medium")
    axes.grid(visible=False, axis="x")
    axes.legend(fontsize="small")
    return figure
