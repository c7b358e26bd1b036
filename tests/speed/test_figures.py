"""Mirrors cifar_lessons/speed/figures.py: that what is drawn is what was measured."""

import pytest
import torch

from cifar_lessons.speed import figures

EACH = [
    (figures.speedups, "precision_study"),
    (figures.footprints, "precision_study"),
    (figures.roofline, "roofline_study"),
    (figures.where_time_goes, "profile_study"),
]


@pytest.mark.parametrize(("draw", "study"), EACH)
def test_it_draws_a_study_and_says_where_there_is_none(draw, study, request):
    assert draw(None).axes[0].texts[0].get_text() == "Not recorded yet"
    png, _ = draw(request.getfixturevalue(study))._repr_png_()
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "dtype", "tiniest"),
    [
        ("fp32", torch.float32, 2.0**-149),
        ("bf16", torch.bfloat16, 2.0**-133),
        ("fp16", torch.float16, 2.0**-24),
    ],
)
def test_limits_worked_out_from_the_bits_are_those_that_torch_knows(name, dtype, tiniest):
    found, known = figures.limits(name), torch.finfo(dtype)
    assert found["largest"] == known.max
    assert found["smallest"] == known.smallest_normal
    assert found["step"] == known.eps
    # torch does not say, and may take it for 0 here: see `set_flush_denormal`.
    assert found["tiniest"] == tiniest


def test_the_picture_of_formats_has_all_bits():
    bits = figures.formats().axes[0]
    assert len(bits.patches) == 32 + 16 + 16


def test_speedups_have_a_line_for_each_network(precision_study):
    axes = figures.speedups(precision_study).axes[0]
    drawn = {c.get_label(): c.lines[0].get_ydata().tolist() for c in axes.containers}
    assert drawn == {"resnet18": [1.9, 2.1], "mobilenet_v2": [1.1]}


def test_footprints_are_shares_of_fp32(precision_study):
    axes = figures.footprints(precision_study, batch=128).axes[0]
    heights = [[bar.get_height() for bar in group] for group in axes.containers]
    assert heights == [pytest.approx([0.6, 0.7]), pytest.approx([0.6, 0.7])]


def test_points_lie_at_operations_a_byte_and_a_second(roofline_study):
    panels = figures.roofline(roofline_study).axes
    assert [panel.get_title() for panel in panels] == [
        "fp32: peak 200 GFLOP/s",
        "bf16: peak 400 GFLOP/s",
    ]
    roof, dense, *_ = panels[0].lines
    assert dense.get_xydata().tolist() == [[10.0, pytest.approx(1.5e11)]]
    assert roof.get_ydata().tolist() == pytest.approx([2e9, 2e11, 2e11])
    assert panels[1].lines[1].get_xydata().tolist() == [[20.0, pytest.approx(3e11)]]


def test_bars_end_at_the_time_of_the_step(profile_study):
    axes = figures.where_time_goes(profile_study).axes[0]
    ends = [max(bar.get_x() + bar.get_width() for bar in bars) for bars in zip(*axes.containers,
            strict=True)]  # fmt: skip
    assert ends == pytest.approx([3200, 3000, 2400, 1000])
    assert axes.get_yticklabels()[-1].get_text() == "+ bf16: ours"
    del profile_study["values"]["loops"]["channels_last"]  # a machine without bf16
    axes = figures.where_time_goes(profile_study).axes[0]
    assert axes.get_yticklabels()[-1].get_text() == "+ channels last: ours"
