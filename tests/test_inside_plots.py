"""Mirrors cifar_lessons/inside_plots.py: what is drawn, and what is refused."""

import numpy as np
import pytest

from cifar_lessons import inside_plots


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)


def test_a_row_of_images_and_a_row_a_method(images):
    maps = np.linspace(-1, 2, 3 * 1024).reshape(3, 32, 32)
    figure = inside_plots.heat(images, {"Grad-CAM": maps, "occlusion": maps}, ["a", "b", "c"])
    assert len(figure.axes) == 9
    assert [axes.get_title() for axes in figure.axes[:3]] == ["a", "b", "c"]
    assert figure.axes[3].get_ylabel() == "Grad-CAM"
    glow = figure.axes[3].get_images()[1].get_array()
    assert glow.min() == 0  # what is below 0 is drawn as 0
    assert figure.axes[5].get_images()[1].get_array().max() == 1  # each map by its own largest


def test_a_map_of_zeros_is_drawn_dark(images):
    figure = inside_plots.heat(images, {"nothing": np.zeros((3, 32, 32))})
    assert figure.axes[3].get_images()[1].get_array().max() == 0


def test_maps_and_titles_must_fit(images):
    with pytest.raises(ValueError, match=r"'few' has maps \(2, 32, 32\) for images"):
        inside_plots.heat(images, {"few": np.zeros((2, 32, 32))})
    with pytest.raises(ValueError, match="1 titles for 3 images"):
        inside_plots.heat(images, {}, ["a"])


def test_forgetting_starts_at_one_and_names_the_parts():
    check = {"head": np.array([0.5, 0.7]), "convs": np.array([0.0, 0.2])}
    axes = inside_plots.forgetting({"Grad-CAM": check}).axes[0]
    assert axes.get_lines()[0].get_ydata() == pytest.approx([1, 0.6, 0.1])
    assert [t.get_text() for t in axes.get_xticklabels()] == ["trained", "+ head", "+ convs"]
    with pytest.raises(ValueError, match="'other' was checked on"):
        inside_plots.forgetting({"Grad-CAM": check, "other": {"head": np.ones(2)}})


def test_confidence_has_a_panel_a_network_and_a_line_a_group():
    scores = {"test images": np.linspace(0.5, 1, 50), "drawings": np.linspace(0.1, 1, 20)}
    figure = inside_plots.spread_of_scores({"small": scores, "large": scores}, xlabel="probability")
    assert [axes.get_title() for axes in figure.axes] == ["small", "large"]
    heights = [patch.get_data().values for patch in figure.axes[0].patches]
    assert [h.sum() for h in heights] == pytest.approx([1, 1])


@pytest.mark.parametrize(
    "draw", [inside_plots.forgetting, lambda x: inside_plots.spread_of_scores(x, xlabel="")]
)
def test_nothing_to_draw_says_so(draw):
    [axes] = draw({}).axes
    assert axes.texts[0].get_text() == "Not recorded yet"
