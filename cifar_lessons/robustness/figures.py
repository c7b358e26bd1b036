"""Figures of the study `corruptions`. No torch; what is not recorded says so in the figure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cifar_lessons.canvas import MARKERS, empty_figure, new_axes

Study = Mapping[str, Any] | None  # the values of the study, or None where it is not recorded


def accuracies(study: Study) -> Figure:
    """Draw the accuracy under each corruption, mean over severities, as a table of colours."""
    if study is None:
        return empty_figure()
    import seaborn

    networks: Mapping[str, Any] = study["networks"]
    corruptions = list(next(iter(networks.values()))["corruptions"])
    rows = [
        [100 * found["clean"]["plain"] / found["images"] for found in networks.values()],
        *(
            [
                100 * float(np.mean(found["corruptions"][name]["plain"])) / found["images"]
                for found in networks.values()
            ]
            for name in corruptions
        ),
    ]
    figure, axes = new_axes(3.2 + 1.15 * len(networks), 1.2 + 0.32 * len(rows))
    seaborn.heatmap(
        np.array(rows), annot=True, fmt=".0f", cmap="cividis", vmin=10, vmax=100, ax=axes,
        xticklabels=list(networks), linewidths=0.5, cbar_kws={"label": "test accuracy, percent"},
        yticklabels=["clean", *(name.replace("_", " ") for name in corruptions)],
    )  # fmt: skip
    axes.set_xticklabels(axes.get_xticklabels(), rotation=25, ha="right")
    axes.axhline(1, color="white", linewidth=5)  # the clean ones apart
    return figure


def severities(study: Study) -> Figure:
    """Draw the mean accuracy over all corruptions against severity; 0 is the clean image."""
    if study is None:
        return empty_figure()
    figure, axes = new_axes(7, 4)
    for index, (name, found) in enumerate(study["networks"].items()):
        for look, line in (("plain", "-"), ("flip", ":")):
            counts = np.mean([c[look] for c in found["corruptions"].values()], axis=0)
            y = np.array([found["clean"][look], *counts]) / found["images"]
            axes.plot(
                range(len(y)), y, line, marker=MARKERS[index], color=f"C{index}", markersize=5,
                label=name if look == "plain" else None,
            )  # fmt: skip
    axes.plot([], [], ":", color="0.3", label="… with the mirror image")
    axes.set(xlabel="severity (0: clean)", ylabel="test accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(fontsize="small")
    return figure


def flip_gains(study: Study) -> Figure:
    """Draw what the mirror image adds under each corruption, mean over severities: a mark each."""
    if study is None:
        return empty_figure()
    networks: Mapping[str, Any] = study["networks"]
    corruptions = list(next(iter(networks.values()))["corruptions"])
    labels = ["clean", *(name.replace("_", " ") for name in corruptions)]
    figure, axes = new_axes(7, 1.2 + 0.3 * len(labels))
    for index, (name, found) in enumerate(networks.items()):
        clean = found["clean"]["flip"] - found["clean"]["plain"]
        gains = [clean]
        for counts in (found["corruptions"][c] for c in corruptions):
            gains.append(np.mean(counts["only_flip"]) - np.mean(counts["only_plain"]))
        at = np.arange(len(gains)) + 0.15 * (index - (len(networks) - 1) / 2)
        x = 100 * np.array(gains) / found["images"]
        axes.plot(x, at, MARKERS[index], color=f"C{index}", markersize=6, alpha=0.85, label=name)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)  # the first on top
    axes.set_xlabel("points of test accuracy that the mirror image adds")
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
