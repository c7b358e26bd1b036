"""Mirrors cifar_lessons/enas/figures.py: each figure shows what it says, or that it is missing."""

import numpy as np

from cifar_lessons.enas import figures, results
from cifar_lessons.enas.space import parse, plain, uniform

TEXT = "c3/s5+0/mp/c5+0+2/s3/ap"


def words(figure) -> str:
    return " | ".join(t.get_text() for axes in figure.axes for t in axes.texts)


def test_without_anything_recorded_each_figure_says_so():
    for figure in (
        figures.drawing(None),
        figures.trace(None),
        figures.controls([]),
        figures.scatter(("nothing", None)),
    ):
        assert words(figure) == "Not recorded yet"


def test_a_network_is_drawn_with_its_operations_skips_and_halvings():
    figure = figures.drawing(parse(TEXT))
    [axes] = figure.axes
    assert words(figure).count("halved") == 2
    assert "separable\n5x5" in words(figure)
    assert len(axes.patches) == 6 + 3  # the chain, and three skips
    assert axes.get_title() == TEXT


def test_the_big_graph_has_every_operation_of_every_layer_and_both_paths():
    drawn = [plain(["c3"] * 6), uniform(np.random.default_rng(0))]
    figure = figures.big_graph(drawn)
    assert words(figure).count("s5") == 6
    assert len(figure.axes[0].get_legend().get_texts()) == 2


def test_the_trace_shows_rewards_entropy_and_every_operation(recorded_search):
    recorded_search()
    figure = figures.trace(results.load())
    reward, entropy, skips, shares = figure.axes
    assert reward.lines[0].get_ydata()[0] == 0.01
    assert entropy.lines[1].get_ydata()[0] == np.float64(6 * np.log(6) + 15 * np.log(2))
    assert set(skips.lines[0].get_ydata()) == {0.45}
    assert skips.lines[2].get_ydata()[0] == 0.4  # what the penalty pulls to
    assert len(shares.get_legend().get_texts()) == 6


def test_controls_are_in_order_with_a_dot_a_seed(everything):
    found = results.alone()
    figure = figures.controls(found)
    [axes] = figure.axes
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels[0] == "all 3x3"
    assert labels[-1] == "found by random search"
    assert len(axes.lines[0].get_xdata()) == 2


def test_a_panel_for_each_ranking_that_is_there(everything):
    ranked = results.ranking(results.load(), results.alone())
    figure = figures.scatter(("at equal cost", ranked), ("at one width", None))
    [axes] = figure.axes
    assert axes.get_title().startswith("at equal cost\ntau ")
    assert len(axes.lines) == 12
