"""Mirrors cifar_lessons/throughput.py."""

import copy
import json

import pytest

from cifar_lessons.throughput import compare, disturbances, format_result

TRAIN = {
    "ours": [100.0, 90.0, 110.0],
    "plain_0": [30.0, 30.0, 90.0],  # best by its mean, and by its best block
    "plain_1": [40.0, 45.0, 40.0],  # best by its median
    "plain_2": [35.0, 35.0, 35.0],
}
PIPELINE = {"ours": [80_000.0], "plain_0": [4_000.0], "plain_1": [3_000.0], "plain_2": [3_500.0]}


@pytest.fixture
def result():
    """A made-up result on an idle machine."""
    return {
        "values": {
            "model": "resnet18",
            "batch_size": 128,
            "images": 50_000,
            "synthetic": False,
            "precision": "bf16",
            "seconds": 271.2,
            "train": copy.deepcopy(TRAIN),
            "pipeline": copy.deepcopy(PIPELINE),
            "end_to_end": compare(TRAIN),
            "pipeline_alone": compare(PIPELINE),
        },
        "provenance": {
            "device": "Made-up CPU",
            "cores": 2,
            "threads": 2,
            "python": "3.11.7",
            "packages": {"torch": "9.8.7", "pillow": "6.5.4"},
            "git_commit": "abcdef0123456789",
            "git_dirty": False,
            "started_at": "2026-01-02T03:04:05+00:00",
            "load_average": [0.1, 0.2, 0.3],
            "load_average_after": [2.0, 1.0, 0.5],
            "cores_busy_elsewhere": 0.01,
        },
    }


def row(text: str, start: str) -> str:
    """Return the one line that starts so, with single spaces."""
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    return " ".join(line.split())


def test_the_best_plain_loop_is_best_by_its_median():
    assert compare(TRAIN) == {"ratio": 2.5, "low": 2.0, "high": 2.75, "against": "plain_1"}


def test_rounds_are_compared_within_themselves():
    slow_second_half = {"ours": [100.0, 50.0], "plain_0": [40.0, 20.0]}
    found = compare(slow_second_half)
    assert (found["low"], found["high"]) == (2.5, 2.5)


def test_every_loop_has_its_row_with_median_range_count_and_our_lead(result):
    text = format_result(result)
    assert row(text, "ours (bf16") == "ours (bf16, channels_last) 100.0 90.0 to 110.0 3"
    assert "plain, 0 workers 30.0 30.0 to 90.0 3 3.33x" in " ".join(text.split())
    assert "plain, 1 worker 40.0 40.0 to 45.0 3 2.50x" in " ".join(text.split())
    assert "plain, 2 workers 3,500 3,500 to 3,500 1 22.86x" in " ".join(text.split())


def test_targets_stand_beside_the_ratios_met_or_not(result):
    text = format_result(result)
    assert row(text, "End to end") == (
        "End to end: 2.50x the plain one at its best (1 worker); 2.00 to 2.75 over the rounds. "
        "For two idle cores: target 2.6x NOT met, stretch 3.3x NOT met."
    )
    assert row(text, "Pipeline alone").endswith("For two idle cores: target 20x met.")
    result["values"]["end_to_end"]["ratio"] = 2.6
    assert "target 2.6x met, stretch 3.3x NOT met" in format_result(result)


@pytest.mark.parametrize("change", [{"model": "simple_cnn"}, {"batch_size": 64}])
def test_there_is_no_end_to_end_target_for_other_work(result, change):
    result["values"] |= change
    assert row(format_result(result), "End to end").endswith("over the rounds.")


def test_the_ladder_multiplies_up_to_the_whole_ratio(result):
    assert "Step by step" not in format_result(result)
    result["values"]["train"] |= {"memory": [44.0], "channels_last": [55.0]}
    text = format_result(result)
    assert row(text, "+ batches from memory").endswith("1.10x 1.10x")
    assert row(text, "+ channels_last").endswith("1.25x 1.38x")
    assert row(text, "+ bf16: ours").endswith("1.82x 2.50x")


def test_without_bf16_the_ladder_ends_with_channels_last(result):
    result["values"] |= {"precision": "fp32"}
    result["values"]["train"] |= {"memory": [44.0]}
    assert row(format_result(result), "+ channels_last: ours").endswith("2.27x 2.50x")


def test_the_machine_is_named(result):
    text = format_result(result)
    for words in ("Made-up CPU: 2 cores, 2 threads", "torch 9.8.7, pillow 6.5.4", "abcdef0123"):
        assert words in text
    assert "load average 0.10 0.20 0.30 before, 2.00 1.00 0.50 after" in text
    assert "synthetic" not in text
    result["values"]["synthetic"] = True
    assert "50,000 images (synthetic)" in format_result(result)


def test_an_idle_machine_gives_no_warning_though_the_run_itself_loads_it(result):
    assert disturbances(result["provenance"]) == []
    assert "WARNING" not in format_result(result)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"load_average": [1.25, 0.0, 0.0]}, "the load average was 1.25 before the start"),
        ({"cores_busy_elsewhere": 0.8}, "other processes used 0.80 of 2 cores meanwhile"),
    ],
)
def test_a_busy_machine_gives_a_warning_with_the_number(result, change, words):
    result["provenance"] |= change
    assert f"WARNING: not an idle machine: {words}." in format_result(result)


def test_where_the_system_does_not_tell_nothing_is_judged(result):
    result["provenance"] |= {
        "load_average": [],
        "load_average_after": [],
        "cores_busy_elsewhere": None,
    }
    assert "load average unknown before, unknown after\n" in format_result(result) + "\n"


def test_a_result_survives_json_and_formats_the_same(result):
    assert format_result(json.loads(json.dumps(result))) == format_result(result)
