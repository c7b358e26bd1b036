"""Mirrors cifar_lessons/tuning/figures.py."""

from dataclasses import replace

import numpy as np
import pytest

from cifar_lessons.tuning import figures
from cifar_lessons.tuning.trials import Tuning, best, complete

EACH = [
    figures.response,
    figures.surface_slice,
    figures.importance,
    figures.course,
    figures.repeated,
]


@pytest.mark.parametrize("draw", EACH, ids=lambda draw: draw.__name__)
def test_every_figure_is_drawn_or_says_that_nothing_is_recorded(draw, tuning):
    assert len(draw(tuning)._repr_png_()[0]) > 10_000
    bare = Tuning(recipe=tuning.recipe, space=tuning.space, trials=tuning.trials[:3])
    for nothing in (None, bare):
        [axes] = draw(nothing).axes
        assert axes.texts[0].get_text() == "Not recorded yet"


def test_the_response_shows_every_trial_in_each_panel(tuning):
    panels = figures.response(tuning).axes
    assert [a.get_xlabel() for a in panels] == ["batch size", "peak learning rate", "weight decay"]
    assert {a.get_xscale() for a in panels} == {"log"}
    leader = best(tuning.trials)
    for axes, r in zip(panels, tuning.space, strict=True):
        by_label = {line.get_label(): line for line in axes.lines}
        names = ("complete", "stopped early, estimated", "diverged")
        shown = [len(by_label[name].get_xdata()) for name in names]
        assert shown == [15, 7, 1]  # all but the failed one
        assert by_label["best trial"].get_xdata()[0] == leader.settings[r.field]


def test_the_advice_is_marked_in_the_slice(tuning):
    figure = figures.surface_slice(tuning)
    box = next(line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    assert set(box.get_xdata()) == {0.01, 0.1}
    assert set(box.get_ydata()) == {5e-4}
    other = figures.surface_slice(tuning, "batch_size", "optim.peak_lr")
    assert (other.axes[0].get_xlabel(), other.axes[0].get_ylabel()) == (
        "batch size",
        "peak learning rate",
    )


def test_importance_shows_each_share(tuning):
    [axes] = figures.importance(tuning).axes
    assert [bar.get_width() for bar in axes.patches] == [0.1, 0.7, 0.2]
    two = {"fanova": tuning.importance["fanova"], "ped_anova": {"batch_size": 1.0}}
    [axes] = figures.importance(replace(tuning, importance=two)).axes
    assert [bar.get_width() for bar in axes.patches] == [0.1, 0.7, 0.2, 1.0, 0.0, 0.0]


def test_the_course_ends_at_the_best_trial(tuning):
    [axes] = figures.course(tuning).axes
    steps = next(line for line in axes.lines if line.get_label() == "best so far")
    assert steps.get_ydata()[-1] == best(tuning.trials).accuracy
    low, high = axes.get_ylim()
    assert low < best(tuning.trials).accuracy < high


def test_repeats_have_a_dot_a_seed_and_a_star_for_the_picked_trial(tuning):
    [axes] = figures.repeated(tuning).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [5] * 4
    [star] = [line for line in axes.lines if line.get_marker() == "*"]
    assert star.get_xdata()[0] == best(tuning.trials).accuracy
    # Another best trial than the repeated one: no star beside its seeds.
    others = [t for t in tuning.trials if t != best(tuning.trials)]
    [axes] = figures.repeated(replace(tuning, trials=tuple(others))).axes
    assert "*" not in [line.get_marker() for line in axes.lines]


def test_curves_end_where_they_were_stopped(tuning):
    curves = [t.values for t in tuning.trials if t.state in ("complete", "pruned")]
    [axes] = figures.lines(curves).axes
    crosses = [line for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())]
    assert len(crosses) == len(curves) - len(complete(tuning.trials))
    assert {float(line.get_xdata()[0]) for line in crosses} == {4.0}
    assert figures.lines([]).axes[0].texts[0].get_text() == "Not recorded yet"
    [axes] = figures.lines([[1, 2]], ylabel="score").axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["to the end"]


def test_projections_count_the_values_that_each_search_tried():
    grid = np.array([[x, y] for x in (0.2, 0.5, 0.8) for y in (0.2, 0.5, 0.8)])
    random = np.random.default_rng(0).random((9, 2))
    figure = figures.projections({"grid": grid, "random": random}, lambda x, y: x + 0 * y)
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["grid: 9 trials, 3 values", "random: 9 trials, 9 values"]


def test_projections_cut_off_no_score_of_a_later_search():
    found = {"low": np.full((2, 2), 0.2), "high": np.full((2, 2), 0.9)}
    above = figures.projections(found, lambda x, y: x + 0 * y).axes[:2]
    assert [axes.get_ylim()[0] for axes in above] == [0, 0]
    assert all(axes.get_ylim()[1] > 0.9 for axes in above)


def test_fields_have_words():
    assert figures.words("optim.peak_lr") == "peak learning rate"
    assert figures.words("optim.clip_norm") == "clip norm"


def test_nothing_here_needs_torch_or_optuna(without_torch):
    without_torch(
        "import sys\nfrom cifar_lessons.tuning import figures, report, surface, trials\n"
        "figures.response(trials.recorded())\nassert 'optuna' not in sys.modules"
    )
