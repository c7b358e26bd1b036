"""Mirrors cifar_lessons/plots.py."""

import io

import numpy as np
import pytest
from PIL import Image

from cifar_lessons import plots
from cifar_lessons.evaluation.metrics import Predictions, mean_interval


@pytest.fixture
def found(recorded):
    recorded("simple_cnn", 0.75, seeds=range(3), parameters=2_000_000)
    recorded("deep_cnn", 0.82, seeds=range(2), parameters=8_000_000)
    recorded("resnet18", 0.93, parameters=11_000_000)
    return plots.available({"plain": "simple_cnn", "deep": "deep_cnn", "res": "resnet18"})


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_curves_show_the_mean_and_the_range_of_seeds(found):
    runs = found["plain"]
    for seed, run in enumerate(runs):  # the mean of 0.5, 0.6 and 0.7 in the last epoch
        run.history[-1]["val_accuracy"] = 0.5 + 0.1 * seed
    [axes] = plots.curves({"plain": runs}).axes
    [line] = axes.lines
    assert line.get_xdata().tolist() == [1, 2, 3]
    assert line.get_ydata()[-1] == pytest.approx(0.6)
    band = axes.collections[0].get_paths()[0].vertices
    at_end = band[band[:, 0] == 3][:, 1]
    assert (at_end.min(), at_end.max()) == pytest.approx((0.5, 0.7))


def test_curves_name_runs_that_held_nothing_out(found):
    [axes] = plots.curves(found).axes
    assert texts(axes) == [
        "plain (3 seeds)",
        "deep (2 seeds)",
        "res: has no val_accuracy",
    ]
    [axes] = plots.curves(found, column="train_loss").axes
    assert texts(axes)[-1] == "res (1 seed)"
    assert axes.get_ylabel() == "train loss"


def test_compare_shows_each_seed_the_mean_and_the_interval(found):
    [axes] = plots.compare(found).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["plain", "deep", "res"]
    dots = axes.lines[0].get_xdata()
    assert sorted(dots) == sorted(run.final["test_accuracy"] for run in found["plain"])
    estimate = mean_interval([run.logits() for run in found["plain"]])
    bar = axes.containers[0].lines[2][0].get_segments()[0]
    assert bar[:, 0] == pytest.approx([estimate.low, estimate.high])
    assert axes.texts[0].get_text() == f"{100 * estimate.mean:.1f}"
    low, high = axes.get_ylim()
    assert low > high  # the first recipe stands on top


def test_compare_has_no_two_ticks_of_one_name(recorded):
    recorded("simple_cnn", 0.75, seeds=range(5))  # a narrow range: 74.5 is not 74
    figure = plots.compare(plots.available(["simple_cnn"]))
    figure.canvas.draw()
    names = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert len(names) == len(set(names)) > 2


@pytest.mark.parametrize(("x", "cost"), [("parameters", 2_000_000), ("core_minutes", 4.0)])
def test_accuracy_against_cost(found, x, cost):
    [axes] = plots.accuracy_against(found, x).axes
    assert axes.get_xscale() == "log"
    assert axes.containers[0].lines[0].get_xdata() == pytest.approx([cost])
    assert texts(axes) == ["plain", "deep", "res"]


@pytest.mark.parametrize("layout", ["channels first", "channels last"])
def test_the_grid_shows_the_pixels_of_either_layout(layout):
    images = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), dtype=np.uint8)
    given = images.transpose(0, 3, 1, 2) if layout == "channels first" else images
    figure = plots.image_grid(given, [f"n{i}" for i in range(7)], columns=4)
    shown = [axes for axes in figure.axes if axes.images]
    assert len(figure.axes) == 8
    assert [axes.get_title() for axes in shown] == [f"n{i}" for i in range(7)]
    for axes, image in zip(shown, images, strict=True):
        assert np.array_equal(axes.images[0].get_array(), image)


def test_the_grid_grows_with_the_images():
    images = np.zeros((6, 3, 32, 32), np.uint8)
    small, large = (plots.image_grid(images, columns=3, inches=i) for i in (1.0, 2.0))
    assert small.get_size_inches().tolist() == [3.0, 2.0]
    assert large.get_size_inches().tolist() == [6.0, 4.0]
    titled = plots.image_grid(images, ["a", "b", "c", "", "", ""], columns=3, inches=1.0)
    assert titled.get_size_inches().tolist() == pytest.approx([3.0, 2.2])  # one line of titles


def test_histograms_show_the_share_of_pixels_of_each_channel():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 3, 8, 8)).astype(np.float32)
    pixels[:, 0] = np.where(rng.random((20, 8, 8)) < 0.25, 255, 0)  # red has two levels
    figure = plots.channel_histograms({"bytes": pixels, "tenths": pixels / 10})
    assert [axes.get_title() for axes in figure.axes] == ["bytes", "tenths"]
    for axes, top in zip(figure.axes, (255, 25.5), strict=True):
        shares, ends, _ = zip(*(line.get_data() for line in axes.patches), strict=True)
        assert [s.sum() for s in shares] == pytest.approx([1, 1, 1])
        assert shares[0][[0, -1]] == pytest.approx([0.75, 0.25], abs=0.05)
        assert max(shares[1]) < 0.1
        # 64 bins of 4 levels, the first and last level in the middle of their places.
        assert (ends[0][0], ends[0][-1]) == pytest.approx((-top / 510, top + top / 510))
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["red", "green", "blue"]


def test_confusion_shows_percent_of_the_true_class():
    # Of four images of "cat", one is called "dog".
    says = np.array([0, 0, 0, 1, 1])
    p = Predictions(np.eye(2, dtype=np.float32)[says], np.array([0, 0, 0, 0, 1]))
    [axes] = plots.confusion(p, ["cat", "dog"]).axes
    assert [text.get_text() for text in axes.texts] == ["75", "25", "0", "100"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


@pytest.mark.parametrize(
    "draw",
    [
        plots.curves,
        plots.compare,
        plots.train_and_validation,
        lambda found: plots.accuracy_against(found, "core_minutes"),
    ],
)
def test_without_runs_the_figure_says_so(draw):
    [axes] = draw({}).axes
    assert [text.get_text() for text in axes.texts] == ["Not recorded yet"]


def test_a_notebook_gets_a_sharp_picture_on_white(found):
    data, size = plots.compare(found)._repr_png_()
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    assert size == {"width": picture.width // 2}
    corners = [(0, 0), (picture.width - 1, 0), (0, picture.height - 1)]
    assert {picture.getpixel(corner) for corner in corners} == {(255, 255, 255)}


def test_drawing_leaves_no_figure_open_in_pyplot(found):
    import matplotlib.pyplot as plt

    plots.compare(found)
    plots.curves(found)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.image_grid(np.zeros((2, 3, 32, 32))), r"got float64 \(2, 3, 32, 32\)"),
        (lambda: plots.image_grid(np.zeros((3, 32, 32), np.uint8)), r"got uint8 \(3, 32, 32\)"),
        (lambda: plots.image_grid(np.zeros((0, 3, 8, 8), np.uint8)), r"N >= 1, got uint8 \(0,"),
        (lambda: plots.image_grid(np.zeros((2, 3, 8, 8), np.uint8), ["a"]), "1 titles for 2"),
        (lambda: plots.image_grid(np.zeros((2, 3, 8, 8), np.uint8), columns=0), "got 0; 10 is"),
        (lambda: plots.image_grid(np.zeros((2, 3, 8, 8), np.uint8), inches=0), "got 0; 0.85 is"),
        (lambda: plots.channel_histograms({}), "at least one batch of images, got none"),
        (
            lambda: plots.channel_histograms({"grey": np.zeros((2, 1, 8, 8))}),
            r"'grey' must be \(N, 3, H, W\), got \(2, 1, 8, 8\)",
        ),
        (
            lambda: plots.accuracy_against({}, "flops"),
            "'core_minutes', got 'flops'",
        ),
        (
            lambda: plots.confusion(
                Predictions(np.eye(2, dtype=np.float32), np.array([0, 1])), ["cat"]
            ),
            "1 names for 2 classes",
        ),
    ],
)
def test_wrong_arguments_name_the_value_and_the_mend(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_figures_draw_where_there_is_no_torch(without_torch):
    draw = "from cifar_lessons import plots\nassert plots.compare({})._repr_png_()\n"
    without_torch(draw)


def test_by_layer_draws_a_line_for_each_label_over_layers_counted_from_one():
    [axes] = plots.by_layer({"a": [1e-8, 1.0], "b": [0.5, 0.5, 0.5]}, ylabel="gradient").axes
    assert axes.get_yscale() == "log"
    assert axes.lines[0].get_xdata().tolist() == [1, 2]
    assert list(axes.lines[0].get_ydata()) == [1e-8, 1.0]
    assert texts(axes) == ["a", "b"]
    assert axes.lines[0].get_marker() != axes.lines[1].get_marker()
    assert axes.get_ylabel() == "gradient"


def test_shares_are_percent_of_each_total():
    counts = {"weights": {"conv": 1, "linear": 99}, "work": {"conv": 30, "linear": 10}}
    [axes] = plots.shares(counts).axes
    assert [bar.get_width() for bar in axes.patches] == [0.01, 0.99, 0.75, 0.25]
    assert [text.get_text() for text in axes.texts] == ["1.0%", "99.0%", "75.0%", "25.0%"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conv", "linear"]
    assert texts(axes) == ["weights", "work"]
    # The bars of one part lie around its tick, and don't overlap.
    places = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in axes.patches]
    assert -0.5 < places[0][0] < places[0][1] <= places[2][0] < places[2][1] < 0.5


@pytest.mark.parametrize("counts", [{}, {"weights": {"conv": 0}}])
def test_shares_of_nothing_are_refused(counts):
    with pytest.raises(ValueError, match="above 0, got"):
        plots.shares(counts)


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_training_and_validation_share_an_axis_and_show_means(found, metric):
    for label in ("plain", "deep"):
        for seed, run in enumerate(found[label]):
            for row in run.history:
                row |= {f"train_{metric}": 0.6 + 0.1 * seed, f"val_{metric}": 0.5}
    figure = plots.train_and_validation(found, metric=metric)
    plain, deep, res = figure.axes
    assert [line.get_ydata()[-1] for line in plain.lines] == pytest.approx([0.7, 0.5])
    assert [line.get_ydata()[-1] for line in deep.lines] == pytest.approx([0.65, 0.5])
    assert texts(plain) == ["training", "validation"]
    assert plain.get_ylim() == deep.get_ylim()
    assert plain.get_title() == "plain (3 seeds)"
    assert res.get_title() == "res (1 seed)"
    # `resnet18` held nothing out: no validation line.
    assert len(res.lines) == (1 if metric == "loss" else 0)


def test_with_many_recipes_no_two_look_alike_and_the_legend_stands_beside_the_points(found):
    names = [f"r{i}" for i in range(12)]
    figure = plots.accuracy_against(dict.fromkeys(names, found["plain"]), "parameters")
    [axes] = figure.axes
    looks = {(c.lines[0].get_color(), c.lines[0].get_marker()) for c in axes.containers}
    assert len(looks) == 12
    figure.draw_without_rendering()
    assert axes.get_legend().get_window_extent().x0 >= axes.get_window_extent().x1


def test_lines_has_one_line_a_label_and_can_be_logarithmic():
    figure = plots.lines([1, 10], {"a": [1.0, 2.0], "b": [3.0, 4.0]}, xlabel="x", ylabel="y")
    axes = figure.axes[0]
    assert [line.get_ydata().tolist() for line in axes.get_lines()] == [[1, 2], [3, 4]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert axes.get_xscale() == "linear"
    log = plots.lines([1, 10], {"a": [1.0, 2.0]}, xlabel="x", ylabel="y", log=True).axes[0]
    assert (log.get_xscale(), log.get_yscale()) == ("log", "log")


def test_lines_without_anything_to_draw_says_so():
    figure = plots.lines([1, 2], {}, xlabel="x", ylabel="y")
    assert "Not recorded yet" in figure.axes[0].texts[0].get_text()


def test_a_line_of_another_length_is_refused():
    with pytest.raises(ValueError, match="'a' has 1 numbers for 2 places"):
        plots.lines([1, 2], {"a": [1.0]}, xlabel="x", ylabel="y")
