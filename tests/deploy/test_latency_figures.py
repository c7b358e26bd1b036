"""Mirrors cifar_lessons/deploy/latency_figures.py."""

import numpy as np
import pytest

from cifar_lessons.deploy import latency_figures as figures

from .conftest import cell, latency_study


@pytest.fixture
def study() -> dict:
    return latency_study(
        cell("resnet18", ort=1.5, ort_int8=6.0), cell("mobilenet_v2", ort=3.5, ort_int8=9.0)
    )


def test_bars_are_the_ratios_with_time_and_accuracy_beside(study):
    axes = figures.ratios(study).axes[0]
    bars = [c for c in axes.containers if hasattr(c, "patches")]
    widths = [[bar.get_width() for bar in group] for group in bars]
    assert widths == [[1.0, 1.0], [1.5, 3.5], [6.0, 9.0]]
    said = [text.get_text() for text in axes.texts]
    assert "3.33 ms, 89.80 % right" in said
    assert "2.22 ms" in said  # fresh weights: no accuracy


@pytest.mark.parametrize("batch", [1, 64])
def test_nothing_to_draw_says_so(study, batch):
    found = None if batch == 1 else study
    figure = figures.ratios(found, batch=batch)
    assert figure.axes[0].texts[0].get_text() == "Not recorded yet"


def test_calls_show_all_times_and_three_summaries():
    seconds = [0.5, *[0.01] * 98, 0.02]
    order, spread = figures.calls(seconds).axes
    np.testing.assert_allclose(order.lines[0].get_ydata(), 1000 * np.array(seconds))
    labels = [line.get_label() for line in spread.lines]
    assert labels[0] == "median: 10.00 ms"
    assert labels[1] == "mean: 15.00 ms"


def test_channels_are_sorted_under_the_largest_of_all():
    weights = np.array([[0.1, -0.2], [3.0, 1.0], [0.0, 0.5]])
    axes = figures.channel_ranges(weights).axes[0]
    assert [bar.get_height() for bar in axes.containers[0]] == [3.0, 0.5, 0.2]
    assert axes.lines[0].get_ydata()[0] == 3.0
