"""Mirrors cifar_lessons/bench_commands.py: help, mistakes, and what is recorded.

How the numbers come about is tested with each benchmark.
"""

import json
import shlex
import sys
from collections.abc import Callable

import pytest

from cifar_lessons import bench_commands, benchmark, cli, origins, runs
from cifar_lessons.bench_commands import BENCHES
from cifar_lessons.deploy import benchmark as latency
from cifar_lessons.speed import breakdown, pipelines, precision, roofline


@pytest.fixture
def bench(monkeypatch, capsys, tmp_path) -> Callable[..., tuple[int, str, str]]:
    """Return a function that types `cifar-lessons bench …`: status, output, complaint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIFAR_LESSONS_DATA", str(tmp_path / "no data"))
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "runs"))

    def run(line: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cifar-lessons", "bench", *shlex.split(line)])
        status = 0
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 0
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_nothing_typed_lists_all_benchmarks(bench):
    status, said, _ = bench("")
    assert status == 0
    assert all(f"• {name}" in said for name in BENCHES)


@pytest.mark.parametrize("name", BENCHES)
def test_every_benchmark_says_what_it_does_with_an_example(bench, name):
    status, said, _ = bench(f"{name} --help")
    assert status == 0
    assert f"Example: cifar-lessons bench {name}" in said
    for line in (BENCHES[name].__doc__ or "").splitlines():
        if "Example: cifar-lessons" in line:
            assert callable(cli._parse(shlex.split(line.partition("cifar-lessons ")[2])))


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("trian", "no command 'bench trian': did you mean 'train'?"),
        ("train --seconds 0", "--seconds must be > 0, got 0; try --seconds 270"),
        ("train --model resnet81", "unknown model 'resnet81': did you mean 'resnet18'"),
        ("latency --quick --record", "a quick try is not recorded; leave --quick out"),
        ("latency --models resnet81", "--models: no 'resnet81': did you mean 'resnet18'"),
        ("browser --seconds 0", "--seconds must be > 0, got 0; try --seconds 60"),
        ("train --secs 3", "Unrecognized options: --secs, 3"),
    ],
)
def test_a_mistake_gets_one_line(bench, line, mistake):
    status, _, said = bench(line)
    assert status == 2
    assert said.count("\n") == 1
    assert mistake in said


@pytest.mark.parametrize(
    "name", ["train", "input", "profile", "speedrun", "scaling", "latency", "browser"]
)
def test_only_real_data_are_recorded_which_is_told_before_anything_is_timed(
    bench, monkeypatch, name
):
    monkeypatch.setattr(origins, "is_dirty", lambda: False)
    status, said, complaint = bench(f"{name} --record")
    assert (status, said) == (2, "")
    assert "no cifar10 in" in complaint
    assert "; run `cifar-lessons data --dataset cifar10 --data" in complaint


def test_a_result_is_shown_and_recorded(bench, monkeypatch):
    values = {"ratio": 2.0}
    monkeypatch.setattr(bench_commands, "_check_images", lambda *_: None)
    provenance = {"git_dirty": False}
    result = {"values": values, "provenance": provenance}
    monkeypatch.setattr(benchmark, "bench_train", lambda **_: result)
    monkeypatch.setattr(origins, "is_dirty", lambda: False)
    monkeypatch.setattr(benchmark, "format_result", lambda found: "a table")
    status, said, complaint = bench("train --model simple_cnn --record")
    path = runs.runs_root() / "studies" / "bench_simple_cnn.json"
    assert (status, complaint) == (0, "")
    assert said.startswith("a table")
    assert json.loads(path.read_text())["values"] == values


@pytest.mark.parametrize("name", ["train", "input", "precision", "roofline", "profile", "latency"])
def test_uncommitted_code_is_told_before_anything_is_measured(bench, monkeypatch, name):
    monkeypatch.setattr(origins, "is_dirty", lambda: True)
    for module in (benchmark, pipelines, precision, roofline, breakdown, latency):
        monkeypatch.setattr(module, "Conditions", lambda: 1 / 0)
    status, _, said = bench(f"{name} --record")
    assert status == 2
    assert "--record needs committed code" in said
