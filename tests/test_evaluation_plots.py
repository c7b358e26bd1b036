"""Mirrors cifar_lessons/evaluation_plots.py."""

import numpy as np
import pytest

from cifar_lessons import evaluation_plots as ep
from cifar_lessons.evaluation.contrasts import class_intervals, contrast, gap_weights
from cifar_lessons.evaluation.metrics import Predictions, accuracy, mean_interval
from cifar_lessons.evaluation.resampling import bootstrap
from cifar_lessons.evaluation.resolution import noise, smallest_difference

CLASSES = [f"class {k}" for k in range(10)]


def network(seed: int, *, skill: float = 2.0, images: int = 500) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % 10
    logits = rng.normal(size=(images, 10))
    logits[np.arange(images), labels] += skill
    return Predictions(logits, labels)


def drawn(figure) -> None:
    png, size = figure._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert size["width"] > 300


def test_class_accuracies_have_wilsons_ends():
    p = network(0)
    figure = ep.class_accuracies({"a": p, "b": network(1)}, CLASSES)
    drawn(figure)
    [axes] = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == CLASSES
    bars = axes.containers[0].lines[2][0].get_segments()
    _, ends = class_intervals(p)
    assert np.array([[s[0][0], s[1][0]] for s in bars]) == pytest.approx(ends)
    with pytest.raises(ValueError, match="3 names for 10 classes"):
        ep.class_accuracies({"a": p}, CLASSES[:3])


def test_gaps_stand_at_the_accuracy_of_each_recipe():
    found = {f"r{k}": [network(k, skill=s)] for k, s in enumerate(np.linspace(1, 3, 12))}
    figure = ep.gaps(found, gap_weights(1, (3, 5)), claimed=(0.075, 0.085), ylabel="gap")
    drawn(figure)
    points = [c.lines[0].get_xydata()[0] for c in figure.axes[0].containers]
    for runs, point in zip(found.values(), points, strict=True):
        assert tuple(point) == pytest.approx(
            (accuracy(runs[0]), contrast(runs, gap_weights(1, (3, 5))).mean)
        )
    looks = {(c.lines[0].get_color(), c.lines[0].get_marker()) for c in figure.axes[0].containers}
    assert len(looks) == 12  # no two recipes look alike


def test_the_long_bars_of_two_seeds_do_not_set_the_axes_of_the_gaps():
    weights = gap_weights(1, (3, 5))
    three = [network(k) for k in range(3)]
    two = [network(0, skill=1.2), network(1, skill=2.2)]
    figure = ep.gaps({"three": three, "two": two}, weights, claimed=(0.07, 0.08), ylabel="gap")
    [axes] = figure.axes
    long, short = mean_interval(two), mean_interval(three)
    assert axes.get_xlim()[0] > long.low  # cut off
    assert axes.get_xlim()[0] < min(short.low, long.mean)
    assert axes.get_xlim()[1] > max(short.high, long.mean)
    assert contrast(three, weights).high < axes.get_ylim()[1] < contrast(two, weights).high


@pytest.mark.parametrize(
    "figure",
    [
        ep.resolution({"10 %": 0.1}),
        ep.reliability_diagrams({"a": network(0)}),
    ],
    ids=["resolution", "reliability"],
)
def test_a_legend_lies_below_the_axes_and_covers_nothing(figure):
    figure.draw_without_rendering()
    [legend] = figure.legends
    assert all(axes.get_legend() is None for axes in figure.axes)
    extent = legend.get_window_extent()
    assert extent.y1 <= min(a.get_window_extent().y0 for a in figure.axes)
    assert figure.bbox.x0 <= extent.x0 <= extent.x1 <= figure.bbox.x1


def test_the_legend_of_the_gaps_is_shown_whole_however_many_recipes_there_are():
    found = {f"resnet18_w16_no_augment{k}": [network(k)] for k in range(23)}
    figure = ep.gaps(found, gap_weights(1, (3, 5)), claimed=(0.07, 0.08), ylabel="gap")
    figure.draw_without_rendering()
    [legend] = figure.legends
    box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.axes[0].get_window_extent().y0
    assert len(legend.get_texts()) == 24


def test_reliability_has_a_panel_a_network_and_a_count_below_it():
    for adaptive in (False, True):
        figure = ep.reliability_diagrams({"a": network(0), "b": network(1)}, adaptive=adaptive)
        drawn(figure)
        assert len(figure.axes) == 4
        assert figure.axes[0].get_title().startswith("a\ncalibration error")


def test_bootstrap_rows_show_both_intervals():
    p = network(0)
    boot = bootstrap([p], accuracy, draws=50)
    figure = ep.bootstrap_draws({"a": boot}, {"a": mean_interval([p])})
    drawn(figure)
    ends = [line.get_xdata() for line in figure.axes[0].lines]
    assert ends[0] == pytest.approx([boot.low, boot.high])
    assert ends[1] == pytest.approx([mean_interval([p]).low, mean_interval([p]).high])


def test_resolution_draws_the_smallest_difference():
    figure = ep.resolution({"10 %": 0.1})
    drawn(figure)
    x, y = figure.axes[0].lines[0].get_data()
    assert y[0] == pytest.approx(smallest_difference(500, 0.1))
    assert (np.diff(y) < 0).all()
    assert x[-1] == pytest.approx(1_000_000)


def test_noises_draw_both_parts():
    found = noise([network(s) for s in range(3)])
    figure = ep.noises({"a": found})
    drawn(figure)
    widths = [patch.get_width() for patch in figure.axes[0].patches]
    assert widths == pytest.approx([found.seeds, found.images])


@pytest.mark.parametrize(
    "call",
    [
        lambda: ep.class_accuracies({}, CLASSES),
        lambda: ep.gaps({}, {}, claimed=(0, 1), ylabel=""),
        lambda: ep.reliability_diagrams({}),
        lambda: ep.noises({}),
        lambda: ep.bootstrap_draws({}),
    ],
)
def test_nothing_recorded_is_said_in_the_figure(call):
    figure = call()
    assert figure.axes[0].texts[0].get_text() == "Not recorded yet"
