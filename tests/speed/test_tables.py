"""Mirrors cifar_lessons/speed/tables.py."""

import pytest

from cifar_lessons import recording
from cifar_lessons.speed import tables
from cifar_lessons.tables import Markdown, Table


def row(table: Table, *start: str) -> list[str]:
    [found] = [[str(c) for c in r] for r in table.rows if tuple(map(str, r))[: len(start)] == start]
    return found


ALL = [
    (tables.speed, "bench precision"),
    (tables.memory, "bench precision"),
    (tables.pipeline, "bench input"),
    (tables.best_plain, "bench input"),
    (tables.roofs, "bench roofline"),
    (tables.by_kind, "bench roofline"),
    (tables.breakdown, "bench profile"),
]


@pytest.mark.parametrize(("table", "command"), ALL)
def test_what_is_not_recorded_says_what_to_run(table, command):
    assert table(None) == Markdown(
        f"*Not recorded yet: `cifar-lessons {command} --record` measures it.*"
    )


def test_a_study_is_read_or_absent(monkeypatch, tmp_path, precision_study):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    assert tables.recorded("bench_precision") is None
    assert "bench precision --record" in tables.card(None, "bench_precision")
    recording.record_study(
        "bench_precision", precision_study["values"], provenance=precision_study["provenance"]
    )
    found = tables.recorded("bench_precision")
    assert found is not None
    assert found["values"] == precision_study["values"]


def test_the_card_names_machine_version_commit_minutes_and_load(precision_study):
    assert tables.card(precision_study, "bench_precision") == (
        "*Recorded: Made-up CPU, 2 threads, torch 9.8.7, commit abcdef0, 5 minutes, other "
        "processes used 0.01 cores meanwhile.*"
    )


def test_speed_has_a_row_for_each_network_and_batch(precision_study):
    table = tables.speed(precision_study)
    assert len(table.rows) == 3
    assert row(table, "resnet18", "128")[2:] == ["50.0", "105.0", "2.10x (1.89 to 2.31)", "3"]


def test_memory_counts_cast_weights_and_leaves_out_what_was_there_before(precision_study):
    table = tables.memory(precision_study)
    found = row(table, "resnet18", "128")
    assert found[3].endswith("(−40 %)")  # half as much saved, and a tenth in copies of weights
    assert found[5].endswith("(−40 %)")
    cell = tables.cell(precision_study, "resnet18", 128)
    assert tables.kept(cell["memory"]["bf16"]) == 1000 * 128 * 0.6
    assert tables.needed(cell["memory"]["fp32"]) == 2000 * 128
    assert tables.cell(precision_study, "resnet18", 7) is None


def test_each_step_of_the_pipeline_is_compared_with_the_one_before(input_study):
    table = tables.pipeline(input_study)
    assert [str(r[0]).split(",")[0] for r in table.rows][-3:] == [
        "+ images in memory",
        "+ no DataLoader",
        "+ whole batches: ours",
    ]
    assert row(table, "+ no DataLoader")[1:3] == ["16,000", "16,000 to 16,000"]
    assert row(table, "+ no DataLoader")[4:] == ["2.00x", "4.00x"]
    assert row(table, "+ whole batches: ours")[4:] == ["6.25x", "25.00x"]
    assert row(table, "plain, 2 workers")[4:] == ["1.25x", "1.25x"]
    assert "20.00 times as fast as the plain one at its best (2 workers)" in tables.best_plain(
        input_study
    )


def test_roofs_are_given_for_one_thread_and_for_all(roofline_study):
    table = tables.roofs(roofline_study)
    assert list(table.columns) == ["At most", "1 thread", "2 threads"]
    assert row(table, "matrix product, bf16")[1:] == ["200 GFLOP/s", "400 GFLOP/s"]
    assert row(table, "copy of a large array")[1:] == ["10.0 GB/s", "20.0 GB/s"]


def test_shares_by_kind_are_of_the_network(roofline_study):
    table = tables.by_kind(roofline_study)
    # 3 dense layers of 0.2 s beside a batch norm of 0.4 s: 60 % of the time for 90 %.
    assert row(table, "resnet18: dense")[1:] == ["90.0 %", "60 %", "150", "60 %", "300"]
    assert row(table, "mobilenet_v2: depthwise")[1:3] == ["100.0 %", "100 %"]


def test_the_breakdown_adds_up(profile_study):
    table = tables.breakdown(profile_study)
    assert list(table.columns) == ["Group", *tables.STEPS.values()]
    assert row(table, "convolution and linear")[1:] == ["2,400", "2,250", "1,800", "750"]
    assert row(table, "whole step")[1:] == ["3,200", "3,000", "2,400", "1,000"]
    del profile_study["values"]["loops"]["channels_last"]  # a machine without bf16
    assert list(tables.breakdown(profile_study).columns)[-1] == "+ channels last: ours"


def test_a_terminal_shows_tables_captions_and_the_machine(precision_study):
    text = tables.format_study(precision_study, tables.speed(precision_study), Markdown("A word."))
    assert text.startswith("Training steps in turns: medians;")
    assert "A word." in text
    assert "Made-up CPU: 2 cores, 2 threads" in text
    assert "load average 0.10 0.20 0.30 before" in text


def test_it_needs_no_torch(without_torch):
    without_torch("import cifar_lessons.speed.tables, cifar_lessons.speed.figures")
