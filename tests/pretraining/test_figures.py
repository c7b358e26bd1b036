"""Mirrors cifar_lessons/pretraining/figures.py."""

import numpy as np
import pytest

from cifar_lessons.evaluation.metrics import mean_interval
from cifar_lessons.pretraining import figures, results


def test_a_line_an_arm_and_a_dashed_one_a_probed_network(few):
    figure = figures.share_curves(results.trained(), results.recorded())
    [axes] = figure.axes
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [
        *("from scratch", "after SimCLR", "after VICReg"),
        *("linear on frozen untrained", "linear on frozen simclr_w16"),
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        *("0.5 %", "1 %", "2 %", "10 %", "100 %")
    ]
    styles = {line.get_linestyle() for line in axes.lines if len(line.get_xdata())}
    assert {"-", "--"} <= styles


def test_points_stand_where_the_estimates_are(few):
    figure = figures.share_curves(results.trained(), None)
    first = figure.axes[0].containers[0]
    runs = results.trained()["from scratch"]
    low, high = (mean_interval([r.logits() for r in runs[s]]).mean for s in (0.01, 1.0))
    expected = [low, np.nan, high]  # the claim needs 10 %, too: no line runs across the gap
    np.testing.assert_allclose(np.array(first.lines[0].get_ydata(), float), expected)


def test_with_nothing_recorded_the_figure_says_so():
    figure = figures.share_curves({}, None)
    assert "Not recorded yet" in [t.get_text() for t in figure.axes[0].texts]


def test_classes_are_points_of_their_own_marker():
    places = np.random.default_rng(0).normal(size=(30, 2))
    figure = figures.by_class(places, np.arange(30) % 3, ("cat", "dog", "frog"))
    names = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert names == ["cat", "dog", "frog"]
    assert [len(c.get_offsets()) for c in figure.axes[0].collections] == [10, 10, 10]


def test_places_of_another_shape_are_told():
    with pytest.raises(ValueError, match=r"\(N, 2\) with N labels, got \(4, 3\) and 4 labels"):
        figures.by_class(np.zeros((4, 3)), np.zeros(4, np.int64), ("a",))
