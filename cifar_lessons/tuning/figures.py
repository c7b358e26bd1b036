"""Figures of a search: response, course, noise. Nothing is trained; no torch, no Optuna.

Where a search is not recorded yet, each of them says so in place of a picture.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from cifar_lessons.canvas import BookFigure, empty_figure, new_axes, use_book_style
from cifar_lessons.tuning.space import ADVICE, Range
from cifar_lessons.tuning.surface import FEWEST, Kind, Surface, points, running_best, shuffled_best
from cifar_lessons.tuning.trials import Tuning, best, counted

WORDS = {
    "batch_size": "batch size",
    "optim.peak_lr": "peak learning rate",
    "optim.weight_decay": "weight decay",
}
# Marker, filling and name of each kind of point.
LOOKS: dict[Kind, tuple[str, str, str]] = {
    "complete": ("o", "C0", "complete"),
    "stopped": ("o", "none", "stopped early, estimated"),
    "diverged": ("x", "C0", "diverged"),
}
Floats = npt.NDArray[np.float64]


def words(field: str) -> str:
    """Return a field as a reader calls it."""
    return WORDS.get(field, field.rpartition(".")[2].replace("_", " "))


def _drawable(tuning: Tuning | None) -> Tuning | None:
    """Return the search if there is something to draw: enough trials, one of them complete."""
    if tuning is None or best(tuning.trials) is None or len(counted(tuning.trials)) < FEWEST:
        return None
    return tuning


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _advised(field: str) -> tuple[float, float]:
    """Return the smallest and the largest value of the article's advice."""
    found = [settings[field] for settings in ADVICE.values() if field in settings]
    return (min(found), max(found)) if found else (float("nan"),) * 2


def response(tuning: Tuning | None) -> Figure:
    """Draw the accuracy of every trial against each setting: a panel a setting."""
    if (tuning := _drawable(tuning)) is None:
        return empty_figure()
    use_book_style()
    figure = BookFigure(figsize=(3.1 * len(tuning.space), 3.6), layout="constrained")
    panels = figure.subplots(1, len(tuning.space), sharey=True, squeeze=False)[0]
    found, leader = points(tuning.trials, tuning.epochs), best(tuning.trials)
    assert leader is not None
    surface = Surface(tuning)
    for axes, r in zip(panels, tuning.space, strict=True):
        x, mean, sd = surface.along(r, leader.settings)
        axes.plot(x, mean, color="C0", label="surface through the best")
        axes.fill_between(x, mean - 2 * sd, mean + 2 * sd, color="C0", alpha=0.15, lw=0)
        for kind, (marker, fill, label) in LOOKS.items():
            chosen = [p for p in found if p.kind == kind]
            axes.plot(
                [p.settings[r.field] for p in chosen], [p.accuracy for p in chosen], marker,
                markerfacecolor=fill, markeredgecolor="C0", markersize=5, alpha=0.7, label=label,
            )  # fmt: skip
        axes.plot(
            leader.settings[r.field], leader.accuracy, "*", color="C1", markersize=13,
            label="best trial",
        )  # fmt: skip
        low, high = _advised(r.field)
        if low == low:
            axes.axvspan(low, max(high, low * 1.02), color="C2", alpha=0.25, lw=0, label="advice")
        if r.log:
            axes.set_xscale("log")
        axes.set_xlabel(words(r.field))
    _percent(panels[0])
    heights = [p.accuracy for p in found]  # and not the band, which is wide where nobody looked
    panels[0].set_ylim(min(heights) - 0.03, max(heights) + 0.03)
    panels[0].set_ylabel("validation accuracy")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return figure


def surface_slice(
    tuning: Tuning | None, across: str = "optim.peak_lr", up: str = "optim.weight_decay"
) -> Figure:
    """Draw the surface over two settings, the others as in the best trial, and its uncertainty.

    Args:
        tuning: A recorded search.
        across: Field on the x-axis.
        up: Field on the y-axis.
    """
    if (tuning := _drawable(tuning)) is None:
        return empty_figure()
    ranges = {r.field: r for r in tuning.space}
    leader = best(tuning.trials)
    assert leader is not None
    surface = Surface(tuning)
    grid = surface.slice(ranges[across], ranges[up], leader.settings)
    use_book_style()
    figure = BookFigure(figsize=(9, 4), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, key, title, colours in (
        (panels[0], "mean", "mean accuracy", "viridis"),
        (panels[1], "sd", "standard error of the surface", "Greys"),
    ):
        drawn = axes.contourf(grid["x"], grid["y"], grid[key], levels=12, cmap=colours)
        bar = figure.colorbar(drawn, ax=axes)
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
        for p in surface.points:
            axes.plot(
                p.settings[across], p.settings[up], "o", markersize=5, markeredgecolor="black",
                markerfacecolor="white" if p.kind == "complete" else "none",
            )  # fmt: skip
        axes.plot(leader.settings[across], leader.settings[up], "*", color="C1", markersize=14)
        _advice_box(axes, across, up)
        axes.set(xscale=_scale(ranges[across]), yscale=_scale(ranges[up]))
        axes.set(xlabel=words(across))
        axes.set_title(title, fontsize="medium")
        axes.grid(visible=False)
    panels[0].set_ylabel(words(up))
    return figure


def _scale(r: Range) -> str:
    return "log" if r.log else "linear"


def _advice_box(axes: Axes, across: str, up: str) -> None:
    (left, right), (low, high) = _advised(across), _advised(up)
    if left == left and low == low:
        corners = [(left, low), (right, low), (right, high), (left, high), (left, low)]
        if low == high:  # one value is advised: a line, which must not be drawn to and fro
            corners = corners[:2]
        axes.plot(*zip(*corners, strict=True), "--", color="C3", linewidth=2.5)


def importance(tuning: Tuning | None) -> Figure:
    """Draw each setting's share in the spread of the accuracy, by two methods."""
    if tuning is None or not tuning.importance:
        return empty_figure()
    names = {"fanova": "fANOVA: over the whole range", "ped_anova": "PED-ANOVA: among the best"}
    fields = [r.field for r in tuning.space]
    figure, axes = new_axes(7, 1.3 + 0.7 * len(fields))
    height = 0.8 / len(tuning.importance)
    for index, (method, shares) in enumerate(tuning.importance.items()):
        at = np.arange(len(fields)) + (index - 0.5 * (len(tuning.importance) - 1)) * height
        bars = axes.barh(
            at, [shares.get(f, 0.0) for f in fields], height, color=f"C{index}",
            hatch="" if index % 2 == 0 else "//", edgecolor="white",
            label=names.get(method, method),
        )  # fmt: skip
        axes.bar_label(bars, fmt="{:.0%}", padding=4, fontsize="small")
    axes.set_yticks(range(len(fields)), [words(f) for f in fields])
    axes.set_ylim(len(fields) - 0.5, -0.5)  # the first on top
    axes.set_xlim(0, 1.1)  # room for the numbers
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("share of the spread")
    axes.grid(visible=False, axis="y")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize="small")
    return figure


def course(tuning: Tuning | None) -> Figure:
    """Draw the best accuracy so far, and what the same trials give in random orders."""
    if (tuning := _drawable(tuning)) is None:
        return empty_figure()
    figure, axes = new_axes(7, 3.6)
    counting = counted(tuning.trials)
    x = np.arange(1, len(counting) + 1)
    random = shuffled_best(tuning.trials)
    axes.fill_between(x, random["low"], random["high"], color="C1", alpha=0.2, lw=0)
    axes.plot(
        x, random["mean"], "--", color="C1", label="same trials, random order (9 of 10 in band)"
    )
    axes.step(x, running_best(tuning.trials), where="post", color="C0", label="best so far")
    each = [t.accuracy if t.state == "complete" else np.nan for t in counting]
    axes.plot(x, each, "o", color="C0", markersize=3, alpha=0.6, label="complete trials")
    top = max(t.accuracy for t in counting)
    axes.set_ylim(top - 0.12, top + 0.01)
    axes.set(xlabel="trial, in the order of the search", ylabel="validation accuracy")
    _percent(axes)
    axes.legend(fontsize="small", loc="lower right")
    return figure


def repeated(tuning: Tuning | None) -> Figure:
    """Draw the repeats of each setting: a dot a seed, mean and standard deviation beside them.

    The star is the value for which the best trial was picked.
    """
    if tuning is None or not tuning.repeats:
        return empty_figure()
    figure, axes = new_axes(7, 1.2 + 0.55 * len(tuning.repeats))
    for index, r in enumerate(tuning.repeats):
        values = list(r.accuracies.values())
        axes.plot(values, [index] * len(values), "o", color=f"C{index}", alpha=0.6, markersize=5)
        axes.errorbar(
            r.mean, index + 0.25, xerr=r.sd, fmt="D", color=f"C{index}", capsize=4, markersize=5
        )
    leader = best(tuning.trials)
    if leader is not None and tuning.repeats[0].settings == leader.settings:
        axes.plot(leader.accuracy, 0, "*", color="black", markersize=13)
    axes.set_yticks(range(len(tuning.repeats)), [r.label for r in tuning.repeats])
    axes.set_ylim(len(tuning.repeats) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    axes.set_xlabel("validation accuracy\n(dots: fresh seeds; star: the trial that was picked)")
    return figure


def lines(values: Sequence[Sequence[float]], *, ylabel: str = "validation accuracy") -> Figure:
    """Draw learning curves that end where they were stopped; the longest are drawn strong.

    Args:
        values: One curve each, a number an epoch.
        ylabel: What the numbers are.
    """
    kept = [v for v in values if len(v)]
    if not kept:
        return empty_figure()
    figure, axes = new_axes(7, 3.4)
    longest = max(len(v) for v in kept)
    for v in kept:
        whole = len(v) == longest
        colour, line = ("C0", "-") if whole else ("C1", ":")
        axes.plot(range(1, len(v) + 1), v, line, color=colour, linewidth=1.2, alpha=0.7)
        if not whole:
            axes.plot(len(v), v[-1], "x", color="C1", markersize=6)
    axes.plot([], [], "-", color="C0", label="to the end")
    if any(len(v) < longest for v in kept):
        axes.plot([], [], ":x", color="C1", label="stopped early")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel=ylabel)
    if "accuracy" in ylabel:
        _percent(axes)
    axes.legend(fontsize="small")
    return figure


def projections(
    searches: Mapping[str, Floats], score: Callable[[Floats, Floats], Floats]
) -> Figure:
    """Draw two settings with the points of each search, and what each setting alone sees of them.

    Args:
        searches: Points by label, shape (N, 2), in [0, 1].
        score: Of arrays of the first and the second setting; larger is better.
    """
    use_book_style()
    figure = BookFigure(figsize=(4 * len(searches), 4.2), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.05)  # type: ignore[union-attr, call-arg]
    panels = figure.subplots(
        2, len(searches), sharex=True, sharey="row", squeeze=False, height_ratios=(1, 2.5)
    )
    t = np.linspace(0, 1, 80)
    x, y = np.meshgrid(t, t)
    for column, (label, found) in enumerate(searches.items()):
        above, below = panels[:, column]
        below.contourf(x, y, score(x, y), levels=12, cmap="Blues")
        below.plot(found[:, 0], found[:, 1], "o", color="C1", markeredgecolor="black")
        below.set(xlabel="the setting that matters", xlim=(0, 1), ylim=(0, 1))
        scores = score(found[:, 0], found[:, 1])
        above.vlines(found[:, 0], 0, scores, color="C1", linewidth=2)
        above.plot(found[:, 0], scores, "o", color="C1", markersize=4)
        tried = len(np.unique(found[:, 0].round(6)))
        above.set_title(f"{label}: {len(found)} trials, {tried} values", fontsize="medium")
        above.set_ylabel("score" if column == 0 else "")
        below.set_ylabel("the one that hardly does" if column == 0 else "")
    # All panels share it, so it can only be set once the highest score of any search is drawn.
    panels[0, 0].set_ylim(bottom=0)
    panels[0, 0].set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", "0.25", "0.5", "0.75", "1"))
    return figure
