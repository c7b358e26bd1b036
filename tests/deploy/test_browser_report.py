"""Mirrors cifar_lessons/deploy/browser_report.py, on made-up measurements."""

import copy

import pytest

from cifar_lessons import runs
from cifar_lessons.deploy import browser_report as report

SAME = {"pictures": 200, "same": 200, "largest": 2.5e-6, "other_pixels": 0}


def entry(size: int, start: float) -> dict:
    return {"bytes": size, "start_ms": [start, start + 1, start + 2], "same_bytes": SAME} | {
        "any_size": SAME | {"same": 199}
    }


STUDY = {
    "provenance": {
        "device": "Made-up CPU",
        "load_average": [0.25, 0.1, 0.1],
        "git_commit": "abcdef0123",
    },
    "values": {
        "network": "resnet18_w16 seed0",
        "browser": "Chromium 99",
        "onnxruntime_web": "1.2.3",
        "runtime_bytes": 14_000_000,
        "precisions": {"fp32": entry(3_000_000, 400.0), "int8": entry(1_000_000, 500.0)},
        "ms": {
            "fp32": {"32 x 32": [4.0, 5.0, 6.0], "640 x 480": [24.0, 25.0, 26.0]},
            "int8": {"32 x 32": [8.0, 10.0, 12.0], "640 x 480": [30.0, 31.0, 32.0]},
        },
        "resizing": {
            "pictures": 40,
            "same": 40,
            "largest": 0.01,
            "other": 0.0012,
            "most": 1,
        },
    },
}


def test_the_table_has_medians_and_ranges():
    table = report.table(STUDY)
    assert [str(c) for c in table.rows[1]] == [
        *("int8", "1.00 MB", "501 ms", "10.0 ms (8.0 to 12.0)", "31.0 ms (30.0 to 32.0)"),
    ]
    assert "14.0 MB of ONNX Runtime" in table.caption


def timed(int8: list[float]) -> dict:
    study = copy.deepcopy(STUDY)
    study["values"]["ms"]["int8"]["32 x 32"] = int8
    return study


@pytest.mark.parametrize(
    ("int8", "words"),
    [
        ([8.0, 10.0, 12.0], "takes 2.00 times as long (2.00 to 2.00 over 3 rounds)"),
        ([2.0, 2.5, 3.0], "takes 0.50 of the time (0.50 to 0.50 over 3 rounds)"),
        ([3.6, 5.0, 6.6], "is neither faster nor slower beyond what the rounds differ by"),
    ],
)
def test_the_choice_says_what_was_measured_and_not_what_was_hoped(int8, words):
    text = str(report.choice(timed(int8)))
    assert words in text
    assert "33 % of the bytes" in text
    assert "15.0 MB in place of 17.0 MB: 12 % less" in text
    assert "This page runs fp32" in text


def test_agreement_names_counts_and_the_largest_difference():
    text = str(report.agreement(STUDY))
    assert "fp32, test images: 200 of 200 with Python's answer, a probability differs by" in text
    assert "int8, other sizes: 199 of 200" in text
    assert "0.12 % of the pixel values differ, by 1 of 255 at most; 40 of 40" in text


def test_the_card_names_machine_browser_and_commit():
    text = str(report.card(STUDY))
    for words in ("Made-up CPU", "Chromium 99", "1.2.3", "abcdef0", "load average 0.2 before"):
        assert words in text


def test_nothing_recorded_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    assert report.recorded() is None
    assert report.card(None) == ""
    assert "the guess stays open" in report.choice(None)
    for show in (report.table, report.agreement):
        assert "Not recorded yet: `cifar-lessons bench browser --record`" in str(show(None))
    assert runs.study_command("browser") == "cifar-lessons bench browser --record"
