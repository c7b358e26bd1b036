"""Mirrors cifar_lessons/tta/figures.py: that what is drawn is what was measured."""

import pytest

from cifar_lessons.tta import figures
from cifar_lessons.tta.results import SETS, Recorded

EACH = [
    figures.gain_against_passes,
    figures.corrected_and_broken,
    figures.views_alone,
    figures.by_class,
]


@pytest.mark.parametrize("draw", EACH)
def test_it_draws_a_study_and_says_where_there_is_none(draw, study):
    for nothing in (None, Recorded({}, {}, ())):
        assert draw(nothing).axes[0].texts[0].get_text() == "Not recorded yet"
    png, _ = draw(study)._repr_png_()
    assert png.startswith(b"\x89PNG")


def test_gains_stand_at_their_cost_and_large_losses_at_the_edge_with_their_number(study):
    weak, strong = figures.gain_against_passes(study).axes
    assert [p.get_title() for p in (weak, strong)] == ["weak\n(70.0 %)", "strong\n(90.0 %)"]
    lines = {c.get_label(): c for c in weak.containers}
    x, y = (float(v[0]) for v in lines["flip"].lines[0].get_data())
    assert x == pytest.approx(2, abs=0.5)
    assert y == pytest.approx(2.0)
    assert set(lines) == set(SETS)
    edge = [t for t in strong.texts if t.get_text() == "−9.0"]
    assert len(edge) == 1
    assert "rotations_90" not in {c.get_label() for c in strong.containers}


def test_four_networks_make_two_rows_of_two(study):
    net = study.networks["weak"]
    four = Recorded({str(n): net for n in range(4)}, {}, ())
    axes = figures.gain_against_passes(four).axes
    assert len([a for a in axes if a.axison]) == 4
    assert [a.get_subplotspec().is_first_col() for a in axes] == [True, False, True, False]


def test_bars_are_the_counts_of_the_weakest_and_the_strongest(study):
    weak, strong = figures.corrected_and_broken(study).axes
    right, left = weak.containers
    at = SETS.index("flip")
    assert right[at].get_width() == 300
    assert left[at].get_width() == -100
    assert strong.containers[1][SETS.index("rotations_90")].get_width() == -950
    [only] = figures.corrected_and_broken(study, networks=("strong", "unknown")).axes
    assert only.get_title() == "strong (90.0 %)"


def test_each_view_alone(study):
    [axes] = figures.views_alone(study).axes
    weak, strong = axes.get_lines()
    assert weak.get_xdata()[0] == 0.7
    assert strong.get_xdata()[1] == pytest.approx(0.899)


def test_changes_by_class_are_points_of_the_class(study):
    [axes] = figures.by_class(study, network="weak", sets=("flip",)).axes
    [bars] = axes.containers
    assert {bar.get_height() for bar in bars} == {2.0}  # 20 of a class's 1,000 images
    assert figures.by_class(study).axes[0].get_title() == "strong (90.0 %)"
