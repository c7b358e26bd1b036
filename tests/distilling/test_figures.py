"""Mirrors cifar_lessons/distilling/figures.py: that what is drawn is what was said."""

import numpy as np
import pytest

from cifar_lessons.distilling import figures
from cifar_lessons.distilling.doubts import soften


def bars(axes) -> list[float]:
    return [bar.get_width() for container in axes.containers for bar in container]


def test_each_image_has_a_column_and_each_temperature_a_row(answers):
    chosen = [3, 7, 11]
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    figure = figures.doubts(answers, chosen, images=images, temperatures=(1, 5))
    assert len(figure.axes) == 9
    pictures, rows = figure.axes[:3], (figure.axes[3:6], figure.axes[6:])
    for axes, image, number in zip(pictures, images, chosen, strict=True):
        assert np.array_equal(axes.images[0].get_array(), image.transpose(1, 2, 0))
        assert axes.get_title() == answers.classes[answers.predictions.labels[number]]
    for temperature, row in zip((1, 5), rows, strict=True):
        assert row[0].get_ylabel() == f"T = {temperature}"
        for axes, number in zip(row, chosen, strict=True):
            logits = answers.predictions.logits[number]
            assert bars(axes) == pytest.approx(soften(logits, temperature))


def test_the_label_stands_out_in_every_panel(answers):
    [axes] = figures.doubts(answers, [5], temperatures=(2,)).axes
    marked = [bar.get_hatch() for container in axes.containers for bar in container]
    assert [k for k, hatch in enumerate(marked) if hatch] == [answers.predictions.labels[5]]


def test_without_pictures_the_bars_stay(answers):
    assert len(figures.doubts(answers, [1, 2]).axes) == 6


def test_pictures_must_be_those_of_the_chosen_images(answers):
    with pytest.raises(ValueError, match="1 pictures for 2 chosen images"):
        figures.doubts(answers, [1, 2], images=np.zeros((1, 3, 32, 32), np.uint8))
    with pytest.raises(ValueError, match="for 0 chosen images"):
        figures.doubts(answers, [])


def test_the_two_parts_are_distributions_of_their_own(answers):
    whole, binary, among = figures.in_two_parts(answers, 4, temperature=3).axes
    p = soften(answers.predictions.logits[4], 3)
    target = answers.predictions.labels[4]
    assert bars(whole) == pytest.approx(p)
    assert bars(binary) == pytest.approx([p[target], 1 - p[target]])
    assert bars(among) == pytest.approx(np.delete(p, target) / (1 - p[target]))
    assert sum(bars(among)) == pytest.approx(1)
    assert f"plain weight {1 - p[target]:.2g}" in among.get_title()


def test_shares_of_the_gradient(study):
    [axes] = figures.gradient_shares(study).axes
    found = {c.get_label(): [bar.get_width() for bar in c] for c in axes.containers}
    assert found == {"printed": [0.25, 0.25], "right": [0.9, 0.9]}
    assert [t.get_text() for t in axes.get_yticklabels()] == ["new", "trained"]
    assert figures.gradient_shares(None).axes[0].texts[0].get_text() == "Not recorded yet"
