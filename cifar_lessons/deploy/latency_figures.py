"""Figures of deployment: what 8 bits do to weights, how calls are timed, what was recorded.

No torch, and nothing is measured here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from cifar_lessons.canvas import BookFigure, empty_figure, new_axes, use_book_style
from cifar_lessons.deploy.latency_tables import Study, cells_of
from cifar_lessons.deploy.runtimes import WAYS

HATCHES = ("", "//", "..", "xx")


def ratios(study: Study, *, batch: int = 1, threads: int = 1) -> Figure:
    """Draw how many times as fast as eager fp32 each way is, with its accuracy beside it.

    Args:
        study: From `latency_tables.recorded`.
        batch: One of its batches.
        threads: One of its numbers of threads.
    """
    cells = [] if study is None else cells_of(study, batch=batch, threads=threads)
    if study is None or not cells:
        return empty_figure()
    ways = [way for way in study["values"]["ways"] if way in cells[0]["ways"]]
    figure, axes = new_axes(8, 1.2 + 0.95 * len(cells))
    height = 0.8 / len(ways)
    for index, way in enumerate(ways):
        found = [cell["ratios"][way] for cell in cells]
        at = np.arange(len(cells)) + height * (index - (len(ways) - 1) / 2)
        reach = [
            [max(0.0, f["ratio"] - f["low"]) for f in found],
            [max(0.0, f["high"] - f["ratio"]) for f in found],
        ]
        axes.barh(
            at, [f["ratio"] for f in found], 0.9 * height, xerr=reach, color=f"C{index}",
            hatch=HATCHES[index % len(HATCHES)], edgecolor="white", label=WAYS[way].label,
        )  # fmt: skip
        for y, cell, f in zip(at, cells, found, strict=True):
            text = _beside(study, cell, way)
            axes.text(max(f["ratio"], f["high"]) + 0.1, y, text, va="center", fontsize="x-small")
    axes.set_yticks(range(len(cells)), [cell["model"] for cell in cells])
    axes.invert_yaxis()
    axes.axvline(1, color="0.4", lw=1, ls=":")
    axes.margins(x=0.32)
    plural = "s" * (threads != 1)
    axes.set_xlabel(f"times as fast as eager fp32 (batch {batch}, {threads} thread{plural})")
    axes.grid(visible=False, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _beside(study: Mapping[str, Any], cell: Mapping[str, Any], way: str) -> str:
    """Return the latency and the accuracy that stand at a bar's end."""
    score = study["values"]["models"][cell["model"]]["scores"].get(way)
    right = "" if score is None else f", {100 * score['accuracy']:.2f} % right"
    return f"{1000 * cell['ways'][way]['p50']:.2f} ms{right}"


def calls(seconds: Sequence[float]) -> Figure:
    """Draw the time of each call in the order they were made, and how the times are spread.

    Args:
        seconds: One for each call, the first ones included.
    """
    use_book_style()
    figure = BookFigure(figsize=(8, 3.6), layout="constrained")
    order, spread = figure.subplots(1, 2, width_ratios=(3, 2))
    times = 1000 * np.asarray(seconds)
    order.plot(times, ".", ms=4)
    order.set(xlabel="call", ylabel="milliseconds", yscale="log")
    spread.hist(times, bins=np.geomspace(times.min(), times.max() * 1.001, 30))
    looks = (("median", np.median(times), "C1", "-"), ("mean", times.mean(), "C3", "--"))
    for name, value, colour, line in looks:
        spread.axvline(float(value), color=colour, ls=line, label=f"{name}: {value:.2f} ms")
    p99 = float(np.percentile(times, 99))
    spread.axvline(p99, color="C2", ls=":", label=f"p99: {p99:.2f} ms")
    spread.set(xlabel="milliseconds", ylabel="calls", xscale="log")
    few = times.max() < 10 * times.min()  # within a decade 1, 2 and 5 may be one tick or none
    for axis in (order.yaxis, spread.xaxis):
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if few else (1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())
    figure.legend(*spread.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def channel_ranges(weights: npt.NDArray[np.floating[Any]]) -> Figure:
    """Draw the largest weight of each output channel, and the step that 8 bits have for it.

    Args:
        weights: Of a convolution, (channels, …).
    """
    largest = np.abs(weights.reshape(len(weights), -1)).max(axis=1)
    figure, axes = new_axes(8, 3)
    axes.bar(range(len(largest)), np.sort(largest)[::-1], color="C0", label="largest weight")
    axes.axhline(
        float(largest.max()), color="C3", ls="--", label="what one scale for all must reach"
    )
    axes.set(xlabel="output channels, sorted", ylabel="absolute value")
    axes.set_ylim(0, 1.35 * float(largest.max()))
    axes.legend(fontsize="small", loc="upper right", ncols=2)
    return figure
