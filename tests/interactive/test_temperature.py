"""Mirrors cifar_lessons/interactive/temperature.py."""

import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from cifar_lessons.evaluation.calibration import expected_calibration_error, scaled
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.interactive.temperature import temperature_slider

RNG = np.random.default_rng(0)
SURE = Predictions(4 * RNG.normal(size=(300, 10)), RNG.integers(0, 10, 300))


def test_the_slider_chooses_a_picture_by_its_position_alone():
    pytest.importorskip("ipywidgets")
    box = temperature_slider(SURE, name="made up", temperatures=(0.5, 1.0, 2.0))
    slider, stack = box.children
    assert (slider.index, stack.selected_index) == (1, 1)
    assert [label for label, _ in slider.options] == ["0.5", "1", "2"]
    for temperature, picture in zip((0.5, 1.0, 2.0), stack.children, strict=True):
        error = 100 * expected_calibration_error(scaled(SURE, temperature))
        assert picture.value.startswith('<img src="data:image/webp;base64,')
        assert f"at temperature {temperature:g}: calibration error {error:.1f} points" in (
            picture.value
        )
        assert len(picture.value) < 150_000


def test_without_ipywidgets_three_diagrams_stand_side_by_side(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    figure = temperature_slider(SURE, name="made up")
    assert isinstance(figure, Figure)
    titles = [axes.get_title().partition("\n")[0] for axes in figure.axes[:3]]
    assert titles == ["T = 0.5", "T = 1", "T = 3"]


def test_no_temperature_is_a_mistake():
    with pytest.raises(ValueError, match="at least one, got none; try"):
        temperature_slider(SURE, name="made up", temperatures=())
    with pytest.raises(ValueError, match="temperature must be > 0"):
        temperature_slider(SURE, name="made up", temperatures=(0.0,))
