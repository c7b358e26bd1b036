"""Mirrors cifar_lessons/overview.py."""

from dataclasses import replace

import matplotlib as mpl
import pytest

from cifar_lessons import claims, overview, reports

NAMES = ("simple_cnn", "simple_cnn_flip", "deep_cnn", "deep_cnn_bn", "resnet18_w16", "resnet18")


@pytest.fixture
def found(recorded):
    for step, name in enumerate(NAMES):
        recorded(name, 0.70 + 0.03 * step, seeds=range(3 if step else 1))
    return reports.available(NAMES)


def at(found, **minutes: float):
    """Return the runs with other core-minutes."""
    return {
        label: [
            replace(run, provenance={**run.provenance, "cpu_seconds": 60 * minutes[label]})
            for run in runs
        ]
        for label, runs in found.items()
    }


def names(figure):
    return [t for t in figure.axes[0].texts if t.get_text()]


def test_every_recipe_is_a_dot_at_its_mean_with_all_its_seeds(found):
    figure = overview.accuracy_for_cost(found)
    [axes] = figure.axes
    assert axes.get_xscale() == "log"
    dots = [line.get_xydata()[0] for line in axes.lines if len(line.get_xydata()) == 1]
    runs = found["deep_cnn"]
    values = [run.final["test_accuracy"] for run in runs]
    assert dots[2] == pytest.approx([4.0, sum(values) / 3])  # 180, 240 and 300 s
    bar = axes.collections[2].get_segments()[0]
    assert bar[:, 1] == pytest.approx([min(values), max(values)])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["simple_cnn", "deep_cnn", "resnet18"]  # kinds, not recipes


def test_names_cover_neither_each_other_nor_a_dot(found):
    crowd = at(found, **dict(zip(NAMES, (4.0, 4.1, 4.2, 4.0, 4.1, 4.3), strict=True)))
    figure = overview.accuracy_for_cost(crowd)
    figure.draw_without_rendering()
    [axes] = figure.axes
    texts = names(figure)
    assert {t.get_text() for t in texts} == set(NAMES)
    boxes = [t.get_window_extent() for t in texts]
    frame = axes.get_window_extent()
    dots = [axes.transData.transform(line.get_xydata()[0]) for line in axes.lines[:-4]]
    for index, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[:index])
        assert not any(one.contains(*dot) for dot in dots)
        assert frame.x0 <= one.x0 < one.x1 <= frame.x1


def test_the_front_has_what_no_other_beats_in_both():
    spots = {"dear": (9, 0.9), "cheap": (1, 0.7), "beaten": (5, 0.6), "twin": (1, 0.65)}
    assert overview.front(spots) == ["cheap", "dear"]


def test_one_recipe_alone_and_none_at_all_are_drawn_too(found):
    alone = {"resnet18": found["resnet18"]}
    assert [t.get_text() for t in names(overview.accuracy_for_cost(alone))] == ["resnet18"]
    assert overview.accuracy_for_cost({}).axes[0].texts[0].get_text() == "Not recorded yet"


def test_minutes_of_an_accelerator_are_not_mixed_with_a_processor_s(found):
    gpu = [replace(run, provenance={**run.provenance, "threads": 0}) for run in found["simple_cnn"]]
    figure = overview.accuracy_for_cost({**found, "simple_cnn": gpu})
    assert "simple_cnn" not in {t.get_text() for t in names(figure)}
    assert overview.accuracy_for_cost({"simple_cnn": gpu}).axes[0].texts[0].get_text() == (
        "Not recorded yet"
    )


def test_the_bar_has_a_piece_for_each_verdict_that_occurs():
    counts = {"reproduced": 6, "corrected": 5, "not measurable here": 0, "open": 10}
    figure = overview.verdicts(counts)
    [axes] = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [6, 5, 10]
    assert [text.get_text() for text in axes.texts] == ["6", "5", "10"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["reproduced", "corrected", "open"]
    assert axes.get_xlim() == (0, 21)
    assert overview.verdicts({"open": 0}).axes[0].texts[0].get_text() == "Not recorded yet"


def test_every_verdict_has_a_look():
    assert list(overview.LOOKS) == list(claims.VERDICTS)
    assert len({(mpl.colors.to_hex(c), h) for c, h in overview.LOOKS.values()}) == 4
