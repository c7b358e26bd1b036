"""What every figure of the book is drawn on: its style, its size, and how a notebook shows it."""

import functools
import io
from typing import Any

from cycler import cycler
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MARKERS = "osD^vPX*<>"  # beside colour, for readers who can't tell two colours apart


class BookFigure(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture at twice the resolution, and the width in pixels to show it at."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=2 * self.dpi)
        # Width alone: with a height too, a narrow screen would squeeze the picture.
        return buffer.getvalue(), {"width": round(self.get_figwidth() * self.dpi)}


@functools.cache
def _style() -> dict[str, Any]:
    """Return the settings of the book: seaborn's colour-blind safe palette on white."""
    import seaborn

    colours = seaborn.color_palette("colorblind").as_hex()
    return {
        **seaborn.axes_style("whitegrid"),
        **seaborn.plotting_context("notebook"),
        "axes.prop_cycle": cycler(color=list(colours)),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "white",  # on a dark page too, or axes and words would vanish
        "savefig.facecolor": "white",
        "figure.dpi": 100,
        "figure.constrained_layout.h_pad": 0.12,
        "figure.constrained_layout.w_pad": 0.12,
    }


def use_book_style() -> None:
    """Set matplotlib to the style of the book; the functions here do so themselves."""
    style.use(_style())


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of that size, in inches, and its axes."""
    use_book_style()
    figure = BookFigure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def empty_figure() -> Figure:
    """Return a figure that says that there is nothing to draw."""
    figure, axes = new_axes(7, 1.2)
    axes.axis("off")
    axes.text(0.5, 0.5, "Not recorded yet", ha="center", va="center")
    return figure
