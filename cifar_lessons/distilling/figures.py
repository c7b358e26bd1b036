"""Figures of what a teacher says, and of how loudly: no torch, nothing trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from cifar_lessons.canvas import BookFigure, empty_figure, new_axes, use_book_style
from cifar_lessons.distilling.doubts import Answers, soften
from cifar_lessons.distilling.results import Recorded, share_of

LABEL: dict[str, Any] = {
    "facecolor": "C1",
    "hatch": "//",
    "edgecolor": "white",
}  # the right class, in every panel
OTHER: dict[str, Any] = {"facecolor": "C0", "edgecolor": "white"}


def _bars(
    axes: Axes, names: Sequence[str], values: npt.NDArray[Any], right: Sequence[bool]
) -> None:
    """Draw a horizontal bar a name, the first on top; those of the right class stand out."""
    for place, (value, is_right) in enumerate(zip(values, right, strict=True)):
        axes.barh(place, value, **(LABEL if is_right else OTHER))
    axes.set_yticks(range(len(names)), names, fontsize="x-small")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1])
    axes.tick_params(labelsize="x-small")
    axes.grid(visible=False, axis="y")


def doubts(
    answers: Answers,
    chosen: Sequence[int],
    *,
    images: npt.NDArray[np.uint8] | None = None,
    temperatures: Sequence[float] = (1, 3, 10),
) -> Figure:
    """Draw a teacher's softened probabilities: a column an image, a row a temperature.

    Args:
        answers: Of the teacher.
        chosen: Numbers of the images.
        images: The chosen ones, uint8, (len(chosen), 3, H, W), to stand on top; None leaves the
            row of pictures out.
        temperatures: Of the rows, each > 0.

    Raises:
        ValueError: No image is chosen, or pictures of another number.
    """
    if not chosen or (images is not None and len(images) != len(chosen)):
        got = "no pictures" if images is None else f"{len(images)} pictures"
        raise ValueError(f"{got} for {len(chosen)} chosen images; give one each, and one at least")
    use_book_style()
    pictures = 0 if images is None else 1
    rows = pictures + len(temperatures)
    figure = BookFigure(figsize=(1.1 + 1.55 * len(chosen), 0.5 + 1.75 * rows), layout="constrained")
    grid = figure.subplots(rows, len(chosen), squeeze=False)
    for column, number in enumerate(chosen):
        label = int(answers.predictions.labels[number])
        if images is not None:
            grid[0, column].imshow(images[column].transpose(1, 2, 0), interpolation="nearest")
            grid[0, column].axis("off")
        grid[0, column].set_title(answers.classes[label], fontsize="small")
        for row, temperature in enumerate(temperatures, start=pictures):
            axes = grid[row, column]
            p = soften(answers.predictions.logits[number], temperature)
            _bars(axes, answers.classes, p, [k == label for k in range(len(p))])
            if column:
                axes.set_yticklabels([])
            else:
                axes.set_ylabel(f"T = {temperature:g}")
            if row < rows - 1:
                axes.set_xticklabels([])
    handles = [Patch(**LABEL, label="the label"), Patch(**OTHER, label="the other classes")]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize="small")
    return figure


def in_two_parts(answers: Answers, number: int, *, temperature: float = 4.0) -> Figure:
    """Draw one answer whole, then as its two parts: is it the target, and which of the others?

    Args:
        answers: Of the teacher.
        number: Of the image.
        temperature: T > 0.
    """
    p = soften(answers.predictions.logits[number], temperature)
    target = int(answers.predictions.labels[number])
    others = [k for k in range(len(p)) if k != target]
    rest = 1 - p[target]
    use_book_style()
    figure = BookFigure(figsize=(9, 3.2), layout="constrained")
    whole, binary, among = figure.subplots(1, 3)
    _bars(whole, answers.classes, p, [k == target for k in range(len(p))])
    whole.set_title(f"what it says at T = {temperature:g}", fontsize="small")
    _bars(binary, [answers.classes[target], "another"], np.array([p[target], rest]), [True, False])
    binary.set_title("is it the target?\nplain weight 1", fontsize="small")
    names = [answers.classes[k] for k in others]
    _bars(among, names, p[others] / rest, [False] * len(others))
    among.set_title(f"if not, which other?\nplain weight {rest:.2g}", fontsize="small")
    for axes in (whole, binary, among):
        axes.set_xlabel("probability", fontsize="small")
    return figure


def gradient_shares(study: Recorded | None) -> Figure:
    """Draw the teacher's share of the gradient, by student and loss, from the recorded study."""
    if study is None:
        return empty_figure()
    values = study.values
    students, arms = values["students"], values["arms"]
    figure, axes = new_axes(7, 1.6 + 0.9 * len(students))
    thick = 0.8 / len(arms)
    for index, arm in enumerate(arms):
        found = [share_of(values, student, arm, "weights") for student in students]
        at = np.arange(len(students)) + thick * (index + 0.5) - 0.4
        bars = axes.barh(
            at, found, height=0.9 * thick, color=f"C{index}", hatch="" if index % 2 else "//",
            edgecolor="white", label=arm,
        )  # fmt: skip
        axes.bar_label(bars, [f"{100 * s:.0f} %" for s in found], fontsize="x-small", padding=2)
    axes.set_yticks(range(len(students)), list(students))
    axes.set_ylim(len(students) - 0.5, -0.5)
    axes.set_xlim(0, 1.08)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_xlabel("the teacher's share of the gradient on the weights")
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    return figure
