"""Pictures of the space, of a search and of what came out: no torch, no training."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cifar_lessons.canvas import MARKERS, empty_figure, new_axes
from cifar_lessons.config import ArchitectureSearch
from cifar_lessons.enas.results import Alone, Ranking, Search, kind_of, label_of
from cifar_lessons.enas.space import OPERATIONS, Architecture, halved_after, size

# A colour and a marker an operation; the separable ones share their partner's hue in no picture.
KINDS = ("found", "made by hand", "random")  # in the order of `kind_of`
COLOURS = {op: f"C{k}" for k, op in enumerate(OPERATIONS)}


def big_graph(chosen: Sequence[Architecture]) -> Figure:
    """Draw the one graph that holds all networks, and the paths of some of them in it.

    Args:
        chosen: Architectures of as many layers each; their skips are left out for clarity.
    """
    layers = len(chosen[0])
    figure, axes = new_axes(8.5, 3.6)
    names = list(OPERATIONS)
    for k in range(1, layers + 1):
        for row, op in enumerate(names):
            for other in range(6) if k > 1 else ():
                axes.plot([k - 1, k], [other, row], color="0.9", lw=0.7, zorder=1)
            axes.text(k, row, op, **_box("white", "0.6"))
    for number, architecture in enumerate(chosen):
        rows = [names.index(op) for op in architecture.operations]
        shift = 0.12 * (number - (len(chosen) - 1) / 2)
        x, y = [0, *range(1, layers + 1)], [2.5, *rows]
        axes.plot(
            x,
            [value + shift for value in y],
            lw=3,
            color=f"C{number}",
            ls=("-", "--", ":")[number % 3],
            zorder=2,
            label=f"network {number + 1}: {'/'.join(architecture.operations)}",
        )
    axes.text(0, 2.5, "image", **_box("0.93", "0.4"))
    axes.set(xlabel="layer", xticks=range(1, layers + 1), yticks=[], xlim=(-0.6, layers + 0.6))
    axes.grid(visible=False)
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=1, frameon=False)
    axes.set_title(f"every path is a network: {size(layers):,} of them with the skips", fontsize=11)
    return figure


def _box(face: str, edge: str) -> dict[str, Any]:
    """Return how a node looks."""
    box = {"boxstyle": "round,pad=0.35", "facecolor": face, "edgecolor": edge}
    return {"ha": "center", "va": "center", "bbox": box, "zorder": 3, "fontsize": 10}


def drawing(architecture: Architecture | None, *, title: str = "") -> Figure:
    """Draw one network from left to right: its operations, halvings and skips.

    Args:
        architecture: What to draw; None where nothing is found yet.
        title: Stands above it.
    """
    if architecture is None:
        return empty_figure()
    figure, axes = new_axes(9, 3.2)
    nodes = ["image\nand stem", *(f"{OPERATIONS[op]}" for op in architecture.operations)]
    for x, words in enumerate(nodes):
        colour = COLOURS[architecture.operations[x - 1]] if x else "0.4"
        axes.text(x, 0, words.replace(" ", "\n", 1), **_box("white", colour))
        if x:
            _arrow(axes, x - 1, x, bend=0.0, colour="0.3")
    for number, layer in enumerate(architecture.layers, start=1):
        for skip in layer.skips:
            _arrow(axes, skip, number, bend=-0.35, colour="0.55")
        if number in halved_after(len(architecture)):
            axes.axvline(number + 0.5, ymax=0.16, color="0.3", ls=":")
            axes.text(number + 0.56, -1.0, "halved", ha="left", fontsize=9, color="0.3")
    axes.text(len(nodes) - 0.25, 0, "→ mean\n→ head", va="center", fontsize=10)
    axes.set(xlim=(-0.6, len(nodes) + 0.3), ylim=(-1.2, 2.0), title=title or str(architecture))
    axes.axis("off")
    return figure


def _arrow(axes: Axes, start: int, end: int, *, bend: float, colour: str) -> None:
    """Draw the way from one node to another; skips go above the chain."""
    high = 0.35 if bend else 0.0
    axes.add_patch(
        FancyArrowPatch(
            (start, high),
            (end, high),
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="->",
            mutation_scale=12,
            color=colour,
            shrinkA=6 if bend else 34,
            shrinkB=6 if bend else 34,
        )
    )


def trace(search: Search | None) -> Figure:
    """Draw what became of the controller: rewards, entropy, skips, and each operation's share."""
    if search is None or not search.trace:
        return empty_figure()
    rows = search.trace
    return moves(rows, layers=len(search.best))


def moves(rows: Any, *, layers: int) -> Figure:
    """Draw a trace: by name the values at each update of the controller.

    Args:
        rows: `update`, `reward`, `entropy`, `skip_share` and `p_c3` and so on, of equal length.
        layers: N, which says how large the entropy may be.
    """
    figure, first = new_axes(9, 6.4)
    first.remove()
    (reward, entropy), (skips, shares) = figure.subplots(2, 2)
    x = rows["update"]
    reward.plot(x, rows["reward"], ".", ms=3, color="C0")
    reward.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    reward.set(xlabel="update", ylabel="reward: accuracy of a sample")
    entropy.plot(x, rows["entropy"], color="C0")
    most = layers * math.log(6) + layers * (layers - 1) / 2 * math.log(2)
    entropy.axhline(most, color="0.4", ls="--", lw=1, label="random choice")
    entropy.set(xlabel="update", ylabel="entropy (nats)")
    entropy.legend(frameon=False)
    skips.plot(x, rows["skip_share"], color="C0")
    skips.axhline(0.5, color="0.4", ls="--", lw=1, label="random choice")
    skips.axhline(ArchitectureSearch().skip_target, color="C1", ls=":", lw=1.5, label="wanted")
    skips.yaxis.set_major_formatter(PercentFormatter(1))
    skips.set(xlabel="update", ylabel="share of skips that are drawn")
    skips.legend(frameon=False)
    for k, (op, name) in enumerate(OPERATIONS.items()):
        every = max(1, len(x) // 8)
        line = shares.plot(x, rows[f"p_{op}"], f"-{MARKERS[k]}", label=name, ms=4, markevery=every)
        line[0].set_color(COLOURS[op])
    shares.axhline(1 / 6, color="0.4", ls="--", lw=1)
    shares.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    shares.set(xlabel="update", ylabel="probability, mean over layers")
    # Noise shall not look large, and the names need room.
    shares.set_ylim(bottom=0, top=max(0.35, 1.3 * shares.get_ylim()[1]))
    shares.legend(fontsize="small", ncols=2, frameon=False, loc="upper left")
    return figure


def controls(networks: Sequence[Alone]) -> Figure:
    """Draw the test accuracy of networks trained alone at equal cost: a dot a seed, a bar the mean.

    Args:
        networks: As from `results.alone`.
    """
    if not networks:
        return empty_figure()
    order = sorted(networks, key=lambda n: n.accuracy)
    figure, axes = new_axes(8, 0.6 + 0.34 * len(order))
    for y, network in enumerate(order):
        kind = kind_of(network.name)
        values = [run.final["test_accuracy"] for run in network.seeds]
        axes.plot(values, [y] * len(values), MARKERS[kind], ms=6, color=f"C{kind}")
        axes.plot([network.accuracy], [y], "|", ms=16, mew=2, color=f"C{kind}")
    axes.set(yticks=range(len(order)), xlabel="test accuracy")
    axes.set_yticklabels([label_of(n.name) for n in order])
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    return figure


def scatter(*rankings: tuple[str, Ranking | None]) -> Figure:
    """Draw accuracy with shared weights against accuracy alone, a panel for each ranking.

    Args:
        rankings: A title and a ranking, as from `results.ranking`.
    """
    given = [(title, r) for title, r in rankings if r is not None]
    if not given:
        return empty_figure()
    figure, first = new_axes(4.5 * len(given), 4)
    first.remove()
    panels = figure.subplots(1, len(given), squeeze=False)[0]
    shown: set[int] = set()
    for axes, (title, found) in zip(panels, given, strict=True):
        for name, x, y in zip(found.names, found.shared, found.alone, strict=True):
            kind = kind_of(name)
            label = KINDS[kind] if kind not in shown else None
            shown.add(kind)
            axes.plot([x], [y], MARKERS[kind], color=f"C{kind}", ms=7, label=label)
        low, high = found.interval
        told = f"tau {found.tau:+.2f} ({low:+.2f} to {high:+.2f})".replace("-", "−")
        axes.set(title=f"{title}\n{told}", xlabel="validation accuracy, shared weights")
        axes.set_ylabel("test accuracy, trained alone")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
            axis.set_major_formatter(PercentFormatter(1, decimals=1))
    figure.legend(loc="outside lower center", ncols=len(KINDS), fontsize="small")
    return figure
