"""A slider that divides the logits, with the reliability that comes of it, and no kernel behind.

Every picture is drawn beforehand; the slider's position chooses one (`jslink`).
"""

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

from cifar_lessons.evaluation.calibration import expected_calibration_error, scaled
from cifar_lessons.evaluation.metrics import Predictions, negative_log_likelihood
from cifar_lessons.evaluation_plots import reliability_diagrams

TEMPERATURES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)


def temperature_slider(
    predictions: Predictions, *, name: str, temperatures: Sequence[float] = TEMPERATURES
) -> Any:
    """Return a slider over temperatures with a reliability diagram for each.

    Args:
        predictions: Of one network.
        name: Of the network.
        temperatures: To choose from, rising, all > 0; the one nearest to 1 is shown first.

    Returns:
        An ipywidgets box; without ipywidgets the figures side by side at 1 and at both ends.

    Raises:
        ValueError: No temperature, or one that is not above 0.
    """
    if not temperatures:
        raise ValueError("temperatures must hold at least one, got none; try (0.5, 1.0, 2.0)")
    start = min(range(len(temperatures)), key=lambda k: abs(temperatures[k] - 1))
    try:
        import ipywidgets
    except ImportError:
        shown = sorted({0, start, len(temperatures) - 1})
        return reliability_diagrams(
            {f"T = {temperatures[k]:g}": scaled(predictions, temperatures[k]) for k in shown}
        )
    slider = ipywidgets.SelectionSlider(
        options=[(f"{t:g}", t) for t in temperatures],
        index=start,
        description="temperature",
        continuous_update=True,
        style={"description_width": "initial"},
    )
    stack = ipywidgets.Stack(
        [ipywidgets.HTML(_picture(predictions, name, t)) for t in temperatures],
        selected_index=start,
    )
    ipywidgets.jslink((slider, "index"), (stack, "selected_index"))
    return ipywidgets.VBox([slider, stack])


def _picture(predictions: Predictions, name: str, temperature: float) -> str:
    """Return the diagram at one temperature as an image with its words."""
    p = scaled(predictions, temperature)
    figure = reliability_diagrams({f"{name}, T = {temperature:g}": p})
    picture = io.BytesIO()
    # Nine of them go into a page: without loss, this is a third of PNG's bytes.
    figure.savefig(picture, format="webp", dpi=2 * figure.dpi, pil_kwargs={"lossless": True})
    words = (
        f"Reliability diagram at temperature {temperature:g}: calibration error "
        f"{100 * expected_calibration_error(p):.1f} points, NLL {negative_log_likelihood(p):.3f}."
    )
    source = "data:image/webp;base64," + base64.b64encode(picture.getvalue()).decode()
    width = round(figure.get_figwidth() * figure.dpi)
    return (
        f'<img src="{source}" alt="{html.escape(words)}" style="width:{width}px;'
        f'max-width:100%"><p>{html.escape(words)}</p>'
    )
