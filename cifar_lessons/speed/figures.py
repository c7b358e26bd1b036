"""Figures of speed, memory and number formats, from recorded studies: no torch, no measuring.

Each takes a study as `tables.recorded` gives it; where that is None, the figure says so.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, PercentFormatter

from cifar_lessons.canvas import MARKERS, BookFigure, empty_figure, use_book_style
from cifar_lessons.speed.tables import Study, cell, change, kept, lower, needed, steps_of

# name: bits of sign, exponent and fraction
FORMATS = {"fp32": (1, 8, 23), "bf16": (1, 8, 7), "fp16": (1, 5, 10)}
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "")


def _panels(width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of that size, in inches, with panels as `Figure.subplots` makes them."""
    use_book_style()
    figure = BookFigure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(squeeze=False, **options).flat)


def limits(name: str) -> dict[str, float]:
    """Return what a format can hold, from its bits (IEEE 754).

    Returns:
        `largest`; `smallest`, the smallest number at full precision; `tiniest`, the smallest
        above 0 at all; `step`, the distance from 1 to the next number.
    """
    _, exponent, fraction = FORMATS[name]
    bias = 2 ** (exponent - 1) - 1
    smallest = 2.0 ** (1 - bias)
    return {
        "largest": (2 - 2.0**-fraction) * 2.0**bias,
        "smallest": smallest,
        "tiniest": smallest * 2.0**-fraction,
        "step": 2.0**-fraction,
    }


def formats() -> Figure:
    """Draw the bits of fp32, bf16 and fp16, and the range of numbers that each holds."""
    figure, (bits, reach) = _panels(8, 4.2, nrows=2, height_ratios=(3, 2))
    parts = (("sign", "C7", ""), ("exponent: range", "C1", "//"), ("fraction: precision", "C0", ""))
    for row, (name, widths) in enumerate(FORMATS.items()):
        at = 0
        for (part, colour, hatch), width in zip(parts, widths, strict=True):
            for bit in range(width):
                box = Rectangle(
                    (at + bit, row - 0.35), 0.9, 0.7, facecolor=colour, edgecolor="white",
                    hatch=hatch, label=part if row == bit == 0 else None,
                )  # fmt: skip
                bits.add_patch(box)
            at += width
        bits.text(-0.6, row, f"{name}, {at} bits", ha="right", va="center")
        low, high = (np.log10(limits(name)[key]) for key in ("smallest", "largest"))
        reach.barh(row, high - low, left=low, height=0.6, color="C1", hatch="//", edgecolor="white")
        tiny = np.log10(limits(name)["tiniest"])
        reach.barh(row, low - tiny, left=tiny, height=0.6, color="C7", alpha=0.4)
        step = f"next number after 1: {1 + limits(name)['step']:.8g}"
        reach.text(high + 1, row, step, va="center", fontsize="small")
    bits.set(xlim=(-7, 32), ylim=(2.6, -0.6))
    bits.axis("off")
    bits.legend(loc="lower right", fontsize="small")
    reach.set(xlim=(-48, 76), ylim=(2.6, -0.6), xlabel="size of the numbers, as a power of ten")
    reach.set_xticks(range(-40, 41, 20))
    reach.set_yticks(range(len(FORMATS)), list(FORMATS))
    reach.grid(visible=False, axis="y")
    return figure


def speedups(study: Study) -> Figure:
    """Draw how many times the rate of fp32 each network reaches, by batch size."""
    if study is None:
        return empty_figure()
    figure, (axes,) = _panels(7, 3.6)
    cells, [precision, *_] = study["values"]["cells"], lower(study)
    for index, model in enumerate(dict.fromkeys(found["model"] for found in cells)):
        some = [found for found in cells if found["model"] == model]
        gains = [found["speedup"][precision] for found in some]
        y = [gain["ratio"] for gain in gains]
        # A median of all rounds need not lie between the ratios of single rounds.
        ends = [
            [max(0.0, gain["ratio"] - gain["low"]) for gain in gains],
            [max(0.0, gain["high"] - gain["ratio"]) for gain in gains],
        ]
        axes.errorbar(
            [found["batch"] for found in some], y, yerr=ends, fmt=f"-{MARKERS[index]}", capsize=4,
            color=f"C{index}", label=model,
        )  # fmt: skip
    axes.axhline(1, color="0.4", lw=1, ls=":")
    axes.set_xscale("log", base=2)
    batches = sorted({found["batch"] for found in cells})
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="batch size", ylabel=f"{precision}: times the speed of fp32", ylim=(0, None))
    axes.legend(fontsize="small")
    return figure


def footprints(study: Study, *, batch: int = 128) -> Figure:
    """Draw how much less memory a 16-bit format needs, at one batch size.

    Args:
        study: `bench_precision`.
        batch: One of its batch sizes.
    """
    if study is None:
        return empty_figure()
    figure, (axes,) = _panels(7, 3.4)
    [precision, *_] = lower(study)
    models = list(dict.fromkeys(found["model"] for found in study["values"]["cells"]))
    found = {m: c for m in models if (c := cell(study, m, batch))}
    looks = (("kept for backward", kept, "C0", ""), ("peak of the process", needed, "C1", "//"))
    for index, (label, what, colour, hatch) in enumerate(looks):
        at = np.arange(len(found)) + 0.4 * index - 0.2
        values = [1 + change(c, what, precision) for c in found.values()]
        bars = axes.bar(at, values, 0.36, color=colour, hatch=hatch, edgecolor="white", label=label)
        axes.bar_label(bars, [f"{100 * v:.0f} %" for v in values], fontsize="small", padding=2)
    axes.axhline(1, color="0.4", lw=1, ls=":")
    axes.set_xticks(range(len(found)), list(found))
    axes.set_ylim(0, 1.35)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylabel(f"{precision}, share of fp32's bytes")
    axes.grid(visible=False, axis="x")
    axes.legend(fontsize="small", ncols=2, loc="upper right")
    return figure


KINDS = ("dense", "pointwise", "depthwise", "linear", "batch norm")


def roofline(study: Study) -> Figure:
    """Draw what each layer reaches against its operations a byte, under the two roofs."""
    if study is None:
        return empty_figure()
    values = study["values"]
    precisions: list[str] = values["precisions"]
    figure, axes = _panels(5 * len(precisions), 4.4, ncols=len(precisions), sharey=True)
    models = list(dict.fromkeys(row["model"] for row in values["layers"]))
    threads = str(values["threads"])
    for panel, precision in zip(axes, precisions, strict=True):
        peak, bandwidth = values["peaks"][precision][threads], values["bandwidth"][threads]
        x = np.array([0.1, peak / bandwidth, 2_000])
        panel.plot(x, np.minimum(peak, bandwidth * x), color="0.2", lw=2)
        for row in values["layers"]:
            kind = KINDS.index(row["kind"])
            intensity = row["operations"] / row["bytes"][precision]
            rate = row["operations"] / row["seconds"][precision]["median"]
            first = row["model"] == models[0]
            panel.plot(
                intensity, rate, MARKERS[kind], color=f"C{kind}", markersize=7,
                fillstyle="full" if first else "none",
            )  # fmt: skip
        _roof_axes(panel, precision, peak)
    axes[0].set_ylabel("operations a second")
    _label_kinds(axes[0], models, {row["kind"] for row in values["layers"]})
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _roof_axes(axes: Axes, precision: str, peak: float) -> None:
    axes.set(xscale="log", yscale="log", title=f"{precision}: peak {peak / 1e9:,.0f} GFLOP/s")
    axes.set_xlabel("operations a byte")
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(LogLocator())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")


def _label_kinds(axes: Axes, models: Sequence[str], kinds: set[Any]) -> None:
    for index, kind in enumerate(KINDS):
        if kind in kinds:
            axes.plot([], [], MARKERS[index], color=f"C{index}", label=kind)
    for model, fill in zip(models, ("full", "none"), strict=False):
        axes.plot([], [], "o", color="0.3", fillstyle=fill, label=model)


def where_time_goes(study: Study) -> Figure:
    """Draw the time of a training step by group of operations, a bar for each loop."""
    if study is None:
        return empty_figure()
    loops = study["values"]["loops"]
    steps = steps_of(loops)
    figure, (axes,) = _panels(8, 1.4 + 0.6 * len(steps))
    start = np.zeros(len(steps))
    for index, group in enumerate(loops[next(iter(steps))]["groups"]):
        widths = np.array([1000 * loops[key]["groups"][group] for key in steps])
        axes.barh(
            range(len(steps)), widths, left=start, color=f"C{index}", label=group,
            hatch=HATCHES[index % len(HATCHES)], edgecolor="white",
        )  # fmt: skip
        start += widths
    axes.set_yticks(range(len(steps)), list(steps.values()))
    axes.set_ylim(len(steps) - 0.4, -0.6)  # the first on top
    axes.set_xlabel(f"milliseconds a step of {study['values']['batch_size']} images")
    axes.grid(visible=False, axis="y")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
