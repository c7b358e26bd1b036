"""Figures about what a network looks at, and how sure it is. No torch: arrays come in."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cifar_lessons.canvas import MARKERS, BookFigure, empty_figure, new_axes, use_book_style

Maps = npt.NDArray[np.floating]  # (N, H, W)


def heat(
    images: npt.NDArray[np.uint8],
    maps: Mapping[str, Maps],
    titles: Sequence[str] = (),
) -> Figure:
    """Draw images in the first row, and below each of them its maps as a glow over its grey copy.

    Each map is scaled by its own largest value: brightness can be compared within a map, not
    between maps. What is below 0 is drawn as 0.

    Args:
        images: uint8, (N, 3, H, W).
        maps: Importances by method, (N, H, W) each.
        titles: One for each image, or none.

    Raises:
        ValueError: Maps or titles of another number than images.
    """
    for label, found in maps.items():
        if found.shape != (len(images), *images.shape[2:]):
            raise ValueError(
                f"{label!r} has maps {found.shape} for images {images.shape}; give one each"
            )
    if len(titles) not in (0, len(images)):
        raise ValueError(f"{len(titles)} titles for {len(images)} images; give one each, or none")
    use_book_style()
    rows, columns = 1 + len(maps), len(images)
    figure = BookFigure(figsize=(1.0 * columns + 1.1, 1.0 * rows + 0.25))
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    for column, image in enumerate(images):
        grid[0, column].imshow(image.transpose(1, 2, 0), interpolation="nearest")
        if titles:
            grid[0, column].set_title(titles[column], fontsize=8, pad=2)
        grey = image.mean(axis=0)
        for row, found in enumerate(maps.values(), start=1):
            glow = found[column].clip(min=0)
            glow = glow / max(float(glow.max()), 1e-12)
            grid[row, column].imshow(grey, cmap="gray", vmin=0, vmax=255)
            grid[row, column].imshow(glow, cmap="inferno", vmin=0, vmax=1, alpha=0.65)
    for row, label in enumerate(["image", *maps]):
        grid[row, 0].set_ylabel(label, fontsize=9, rotation=0, ha="right", va="center")
    return figure


def forgetting(checks: Mapping[str, Mapping[str, npt.NDArray[np.float64]]]) -> Figure:
    """Draw how much of a map is left when a network forgets, part by part from the logits.

    Args:
        checks: For each method, what `evaluation.explain.randomisation_check` gave: correlations
            of all images by part. The line is their mean, the band from the first to the third
            quarter.

    Raises:
        ValueError: Methods that were checked on different parts.
    """
    if not checks:
        return empty_figure()
    parts = list(next(iter(checks.values())))
    figure, axes = new_axes(7, 3.8)
    x = range(1 + len(parts))
    for index, (label, found) in enumerate(checks.items()):
        if list(found) != parts:
            raise ValueError(f"{label!r} was checked on {list(found)}, the first on {parts}")
        values = [np.ones(1), *found.values()]  # before anything is forgotten, the map is itself
        low, high = ([float(np.quantile(v, q)) for v in values] for q in (0.25, 0.75))
        axes.fill_between(x, low, high, color=f"C{index}", alpha=0.2, linewidth=0)
        mean = [float(v.mean()) for v in values]
        look = f"-{MARKERS[index]}"
        axes.plot(x, mean, look, color=f"C{index}", markersize=5, label=label)
    axes.axhline(0, color="black", linewidth=1)
    axes.set_xticks(x, ["trained", *(f"+ {part}" for part in parts)], rotation=25, ha="right")
    axes.set(ylabel="rank correlation with\nthe trained network's map", ylim=(-0.4, 1.05))
    axes.set_xlabel("forgotten so far")
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.68))  # what passes and what fails part
    return figure


def spread_of_scores(
    groups: Mapping[str, Mapping[str, npt.NDArray[np.float64]]], *, xlabel: str
) -> Figure:
    """Draw how scores spread: a panel for each network, a line for each group of pictures.

    Args:
        groups: Scores by group, by network.
        xlabel: What the scores are.
    """
    if not groups:
        return empty_figure()
    use_book_style()
    figure = BookFigure(figsize=(max(4.5, 2.5 * len(groups)), 3.0), layout="constrained")
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    looks = ("-", "--", ":", "-.")
    for axes, (network, scores) in zip(panels, groups.items(), strict=True):
        low = min(float(s.min()) for s in scores.values())
        high = max(float(s.max()) for s in scores.values())
        for index, (label, values) in enumerate(scores.items()):
            count, ends = np.histogram(values, bins=20, range=(low, high))
            axes.stairs(
                count / count.sum(), ends, color=f"C{index}", linestyle=looks[index % 4],
                linewidth=2, label=label,
            )  # fmt: skip
        axes.set_title(network, fontsize="small")
        axes.set_xlabel(xlabel, fontsize="small")
        axes.tick_params(labelsize="small")
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panels[0].set_ylabel("share of the pictures")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
