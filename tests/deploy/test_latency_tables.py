"""Mirrors cifar_lessons/deploy/latency_tables.py: what is shown is what was measured."""

import pytest

from cifar_lessons.deploy import latency_tables as tables

from .conftest import cell, latency_study

GAINS = {"ort": 1.7, "ort_int8": 6.0}


@pytest.fixture
def study() -> dict:
    return latency_study(
        cell("resnet18", **GAINS), cell("resnet18", 64, **GAINS), cell("mobilenet_v2", **GAINS)
    )


def test_the_table_shows_each_engine_with_its_ratio_and_its_accuracy(study):
    rows = tables.latency_table(study, batch=1).rows
    assert rows[2] == [
        "resnet18, ONNX Runtime, int8", "1", "1", "3.33", "4.00", "6.67",
        "6.00x (5.40 to 6.60)", "89.80 %",
    ]  # fmt: skip
    assert rows[0][-2] == "1"  # what the others are compared with
    assert rows[3][-1] == "–"  # fresh weights
    assert len(rows) == 6
    assert len(tables.latency_table(study).rows) == 9
    assert tables.latency_table(study, batch=64, threads=2).rows == []


def test_one_picture_is_timed_with_one_thread_by_the_recipe_of_the_network(study):
    asked = {"big": "resnet18", "small": "mobilenet_v2", "other": "simple_cnn"}
    assert tables.one_picture(study, asked) == {
        "big": "20.00 ms; 3.33 ms in int8",
        "small": "20.00 ms; 3.33 ms in int8",
    }
    assert tables.one_picture(None, asked) == {}


def test_accuracy_lost_has_its_interval_and_fresh_weights_a_dash(study):
    found = {row[0]: row[1:] for row in tables.accuracy_table(study).rows}
    assert found["resnet18, ONNX Runtime, int8"] == [
        "4.00 MB", "89.80 %", "−0.20 points (−0.30 to −0.20)"
    ]  # fmt: skip
    assert found["resnet18, PyTorch eager, fp32"] == ["4.00 MB", "90.00 %", "–"]
    assert found["mobilenet_v2, ONNX Runtime, int8"] == ["4.00 MB", "–", "–"]


@pytest.mark.parametrize(
    ("gain", "lost", "fast", "right"),
    [(5.0, 0.005, "met", "met"), (4.99, 0.005, "NOT met", "met"), (5.0, 0.0051, "met", "NOT met")],
)
def test_targets_say_whether_they_are_met(gain, lost, fast, right):
    text = tables.targets(latency_study(cell("resnet18", ort=1.7, ort_int8=gain), lost=lost))
    assert f"target 5: {fast};" in text
    assert text.endswith(f"target at most 0.5 lost: {right}.")


def test_targets_are_for_one_image_and_one_thread_alone(study):
    lines = tables.targets(study).split("\n\n")
    assert len(lines) == 2
    assert "6.00 times as fast as eager fp32 (5.40 to 6.60), target 7: NOT met" in lines[1]
    assert "accuracy is not known, since no weights are recorded" in lines[1]


def test_the_card_names_versions_load_and_what_is_fresh(study):
    said = tables.card(study)
    assert "ONNX Runtime 1.32. Load average at the cells' starts: 0.1 to 0.1." in said
    assert "Fresh weights, so no accuracy: mobilenet_v2." in said


def test_all_of_it_for_a_terminal(study):
    said = tables.format_result(study)
    assert "Latency of a call: 200 timed calls" in said
    assert "no results" not in said
    study["values"]["quick"] = True
    assert "A quick try: these are no results." in tables.format_result(study)


def test_nothing_recorded_says_what_to_run():
    for show in (tables.latency_table, tables.accuracy_table):
        assert "`cifar-lessons bench latency --record` measures it" in str(show(None))
    for beside in (tables.targets, tables.card):
        assert beside(None) == ""
