"""Mirrors cifar_lessons/folds/figures.py: what is drawn is what was given."""

import numpy as np

from cifar_lessons.canvas import BookFigure
from cifar_lessons.data.folds import cut
from cifar_lessons.folds import figures

RNG = np.random.default_rng(0)
TABLE = 0.79 + RNG.normal(0, 0.004, (8, 5))


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def says_nothing_is_there(figure) -> bool:
    [axes] = figure.axes
    return [text.get_text() for text in axes.texts] == ["Not recorded yet"]


def test_a_partition_has_a_row_a_fold_and_a_mark_an_image():
    labels = np.arange(20) % 4
    parts = cut(labels, folds=5, seed=0)
    [axes] = figures.partition(parts, labels).axes
    [legend] = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["trains on", "is scored on"]
    trains, scores = axes.lines[::2], axes.lines[1::2]
    for fold, (train, score) in enumerate(zip(trains, scores, strict=True)):
        assert list(score.get_xdata()) == parts[fold].tolist()
        assert sorted([*train.get_xdata(), *score.get_xdata()]) == list(range(20))
        assert set(score.get_ydata()) == {fold}


def test_a_strip_has_a_row_a_label_and_a_dot_a_value():
    [axes] = figures.strip({"one": [0.1, 0.3], "two": [0.2, 0.2, 0.5]}).axes
    dots = [line for line in axes.lines if line.get_marker() in figures.MARKERS]
    assert [list(line.get_xdata()) for line in dots] == [[0.1, 0.3], [0.2, 0.2, 0.5]]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["one", "two"]


def test_spreads_draw_singles_and_means_beside_each_other():
    figure = figures.spreads({"live": TABLE, "missing": None, "recorded": TABLE[:, :3]})
    assert isinstance(figure, BookFigure)
    assert [axes.get_title() for axes in figure.axes] == ["live", "recorded"]
    singles, means = (line for line in figure.axes[0].lines if len(line.get_xdata()) in (40, 8))
    assert list(singles.get_ydata()) == TABLE.ravel().tolist()
    assert list(means.get_ydata()) == TABLE.mean(axis=1).tolist()
    ticks = [t.get_text() for t in figure.axes[1].get_xticklabels()]
    assert ticks == ["24 single\nsplits", "8 means\nof 3 folds"]
    assert says_nothing_is_there(figures.spreads({"recorded": None}))


def test_clouds_mark_wrong_labels_and_suspects():
    points, given = RNG.normal(size=(30, 2)), np.arange(30) % 3
    wrong = np.arange(30) < 4
    [axes] = figures.clouds(points, given, wrong=wrong, suspects=np.array([0, 9])).axes
    assert texts(axes) == [*(f"labelled {k}" for k in range(3)), "label is wrong", "suspect"]
    circles, crosses = axes.lines[-2:]
    np.testing.assert_array_equal(circles.get_xydata(), points[:4])
    np.testing.assert_array_equal(crosses.get_xydata(), points[[0, 9]])


def test_precision_and_recall_are_those_of_the_first_n():
    wrong = np.array([True, False, True, False])
    figure = figures.precision_recall({"by margin": np.array([0, 1, 2])}, wrong)
    precision, recall = figure.axes
    assert list(precision.lines[0].get_ydata()) == [1, 1 / 2, 2 / 3]
    assert list(recall.lines[0].get_ydata()) == [1 / 2, 1 / 2, 1]
    assert set(recall.lines[1].get_xdata()) == {2}  # as many as were planted
    assert texts(recall) == ["by margin", "as many as were planted"]
    assert says_nothing_is_there(figures.precision_recall({}, None))
