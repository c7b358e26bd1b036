"""Mirrors cifar_lessons/schedule_plots.py."""

import numpy as np
import pytest

from cifar_lessons import plots, recipes, schedule_plots


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


ARMS = {
    "0.1": recipes.get("resnet18_w16_constant"),
    "step": recipes.get("resnet18_w16_step"),
    "one cycle": recipes.get("resnet18_w16"),
    "plateau": recipes.get("resnet18_w16_plateau"),
}


def rate_at(line, epoch: float) -> float:
    return float(np.interp(epoch, line.get_xdata(), line.get_ydata()))


def test_rates_are_those_of_the_recipes():
    losses = [1.0] + [1.1] * 11  # the best is the first: cut after the fifth and the ninth
    [axes] = schedule_plots.rates(ARMS, val_losses={"plateau": losses}).axes
    constant, step, cycle, plateau = axes.lines
    for line, expected in (
        (constant, {0: 0.1, 11.9: 0.1}),
        (step, {5.9: 0.1, 6.1: 0.01, 9.1: 0.001}),
        (cycle, {0: 0, 3: 0.1, 12: 0}),
        (plateau, {4.9: 0.1, 5.1: 0.05, 8.9: 0.05, 9.1: 0.025, 11.9: 0.025}),
    ):
        for epoch, rate in expected.items():
            assert rate_at(line, epoch) == pytest.approx(rate, abs=2e-3 * 0.1 + 1e-3 * (rate == 0))
    assert texts(axes) == list(ARMS)
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 4


def test_a_plateau_that_has_seen_nothing_is_constant():
    [axes] = schedule_plots.rates({"plateau": ARMS["plateau"]}).axes
    assert set(axes.lines[0].get_ydata()) == {0.1}


def test_losses_of_an_arm_that_is_not_drawn_are_a_mistake():
    with pytest.raises(ValueError, match="'platteau', which is not among"):
        schedule_plots.rates(ARMS, val_losses={"platteau": [1.0]})


def test_by_step_draws_lines_and_floors():
    values = {"large": np.full(5, 0.1), "small": np.geomspace(1, 0.01, 7)}
    [axes] = schedule_plots.by_step(values, ylabel="loss", floors={"large": 0.05}).axes
    assert axes.get_yscale() == "log"
    large, floor, small = axes.lines
    assert list(small.get_ydata()) == list(values["small"])
    assert (floor.get_ydata()[0], floor.get_color()) == (0.05, large.get_color())
    assert texts(axes) == ["large", "small"]


def test_the_bowl_shows_each_path_from_its_start_to_its_end():
    paths = {"a": np.array([[2.0, 1.0], [0.5, 0.8], [0.0, 0.1]]), "b": np.ones((4, 2))}
    figure = schedule_plots.bowl(paths, (1.0, 0.1))
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    path, start, end = figure.axes[0].lines
    assert np.array_equal(np.column_stack(path.get_data()), paths["a"])
    assert (start.get_xdata()[0], end.get_ydata()[0]) == (2.0, 0.1)
    assert figure.axes[0].get_xlim() == figure.axes[1].get_xlim()


def test_the_range_test_keeps_an_explosion_out_of_the_picture():
    x = np.geomspace(1e-4, 1, 50)
    losses = [2.0] * 48 + [5.0, 900.0]
    figure = schedule_plots.range_test({"net": (x, losses, losses)}, {"suggested": 0.01})
    [axes] = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_ylim()[1] == pytest.approx(3.2)
    assert axes.lines[-1].get_xdata()[0] == 0.01
    assert axes.texts[0].get_text().strip() == "suggested"


def test_epochs_to_targets_has_a_mark_for_each_seed_and_hollow_ones_for_never(recorded):
    recorded("simple_cnn", 0.78, seeds=range(2))  # 0.26, 0.52, 0.78
    found = plots.available({"plain": "simple_cnn"})
    found["plain"][1].history[1]["val_accuracy"] = 0.4
    [axes] = schedule_plots.epochs_to_targets(found, (0.5, 0.9)).axes
    reached, none_at_50, reached_90, never = axes.lines[:4]
    assert sorted(reached.get_xdata()) == pytest.approx([2, 3], abs=0.1)
    assert len(none_at_50.get_xdata()) == len(reached_90.get_xdata()) == 0
    assert list(never.get_xdata()) == pytest.approx([4, 4], abs=0.1)
    assert len(set(never.get_xdata())) == 2  # not one on the other
    assert never.get_fillstyle() == "none"
    assert axes.get_xticklabels()[-1].get_text() == "not\nreached"
    assert texts(axes) == ["50 %", "90 %"]


def test_without_runs_the_figure_says_so():
    [axes] = schedule_plots.epochs_to_targets({}, (0.8,)).axes
    assert [text.get_text() for text in axes.texts] == ["Not recorded yet"]


def test_it_draws_where_there_is_no_torch(without_torch):
    without_torch(
        "from cifar_lessons import recipes, schedule_plots\n"
        "arms = {'one cycle': recipes.get('resnet18_w16')}\n"
        "assert schedule_plots.rates(arms)._repr_png_()\n"
    )
