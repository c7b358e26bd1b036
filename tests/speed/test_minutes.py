"""Mirrors cifar_lessons/speed/minutes.py: accuracy from runs, time from the bench, side by side."""

from cifar_lessons.speed import minutes
from cifar_lessons.speedruns import REFERENCE
from tests.speed.test_ideas import with_views

RACE = {"runs": {"speednet_90": {"minutes": 2.04}, REFERENCE: {"minutes": 17.5}}}


def test_nothing_recorded_is_said(recorded):
    assert minutes.rungs() == []
    assert minutes.table([]).caption == "Nothing is recorded yet."
    assert minutes.figure([]).axes[0].texts[0].get_text() == "Not recorded yet"


def test_the_shortest_comes_first_and_says_whether_its_target_is_reached(recorded):
    for name, right in (("speednet", 0.93), ("speednet_90", 0.90), (REFERENCE, 0.94)):
        recorded(name, right, seeds=range(2))
        with_views(name, 12)
    found = minutes.rungs(RACE)
    assert [(r.name, r.target, r.minutes) for r in found] == [
        ("speednet_90", 0.90, 2.04),
        ("speednet", 0.94, None),
        (REFERENCE, None, 17.5),
    ]
    assert all(r.views.mean - r.once.mean > 0.005 for r in found)
    rows = minutes.table(found).rows
    assert [(row[0], row[1], row[5], row[6]) for row in rows] == [
        ("speednet_90", "90 %", "2.0", "yes"),
        ("speednet", "94 %", "–", "no"),
        (REFERENCE, "–", "17.5", "–"),
    ]


def test_what_was_timed_is_drawn(recorded):
    recorded("speednet_90", 0.90)
    recorded("speednet", 0.93)
    with_views("speednet_90", 12)
    with_views("speednet", 12)
    [axes] = minutes.figure(minutes.rungs(RACE)).axes
    assert axes.get_legend_handles_labels()[1] == ["speednet_90"]
