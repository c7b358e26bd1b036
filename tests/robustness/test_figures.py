"""Mirrors cifar_lessons/robustness/figures.py: what is drawn, and that nothing needs a study."""

import numpy as np
import pytest

from cifar_lessons.robustness import figures
from cifar_lessons.robustness.answers import summed_up


@pytest.fixture(scope="module")
def study() -> dict:
    rng = np.random.default_rng(0)

    def answers(severities: int, share: float) -> np.ndarray:
        return rng.random((2, severities, 400)) < share

    return summed_up(
        {
            name: {"clean": answers(1, 0.9), "fog": answers(5, 0.4), "jpeg": answers(5, 0.7)}
            for name in ("small", "large")
        },
        (),
    )


def test_the_table_of_colours_has_clean_images_first(study):
    axes = figures.accuracies(study).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["clean", "fog", "jpeg"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["small", "large"]
    shown = [int(t.get_text()) for t in axes.texts]
    fog = 100 * np.mean(study["networks"]["small"]["corruptions"]["fog"]["plain"]) / 400
    assert shown[2] == round(fog)
    assert len(shown) == 6


def test_severities_begin_with_clean_images(study):
    axes = figures.severities(study).axes[0]
    plain, flip = axes.get_lines()[:2]
    found = study["networks"]["small"]
    assert plain.get_xdata().tolist() == [0, 1, 2, 3, 4, 5]
    assert plain.get_ydata()[0] == found["clean"]["plain"] / 400
    assert flip.get_ydata()[0] == found["clean"]["flip"] / 400
    last = np.mean([c["plain"][4] for c in found["corruptions"].values()]) / 400
    assert plain.get_ydata()[5] == pytest.approx(last)


def test_gains_are_in_points(study):
    axes = figures.flip_gains(study).axes[0]
    small = axes.get_lines()[0]
    counts = study["networks"]["small"]["corruptions"]["fog"]
    gain = (np.mean(counts["flip"]) - np.mean(counts["plain"])) / 4
    assert small.get_xdata()[1] == pytest.approx(gain)


@pytest.mark.parametrize("draw", [figures.accuracies, figures.severities, figures.flip_gains])
def test_without_a_study_the_figure_says_so(draw):
    [axes] = draw(None).axes
    assert axes.texts[0].get_text() == "Not recorded yet"
