"""Mirrors cifar_lessons/scaling.py: which processes are started, and what their rates mean."""

import json
from typing import Any

import pytest

from cifar_lessons import recording, runs, scaling
from cifar_lessons.errors import UserError

RATES = {"1 x 2": [150.0, 140.0, 160.0], "1 x 1": [100.0, 90.0, 110.0], "2 x 1": [120.0] * 3}


def values(**rates: list[float]) -> dict[str, Any]:
    return {
        "processes": 2,
        "backend": "gloo",
        "precision": "bf16",
        "batch_sizes": {"simple_cnn": 128},
        "images": 45_000,
        "synthetic": False,
        "seconds": 300.0,
        "parameters": {"simple_cnn": 2_122_186},
        "rates": {"simple_cnn": {**RATES, "own": [160.0] * 3, **rates}},
    }


# --- what the rates mean ----------------------------------------------------------------------


def test_the_parts_of_the_time_sum_to_one():
    """Two cores would give 200; without averaging they give 160, with it 120."""
    found = scaling.parts(values(), "simple_cnn")
    assert found == {
        "computing": pytest.approx(0.6),  # 120 images take 0.6 s of two free cores
        "smaller slices, shared memory": pytest.approx(0.15),  # 0.75 s without averaging
        "averaging gradients": pytest.approx(0.25),  # 1 s with it
    }
    assert sum(found.values()) == pytest.approx(1.0)


def test_noise_makes_no_negative_part():
    found = scaling.parts(values(own=[119.0]), "simple_cnn")
    assert found["averaging gradients"] == 0.0
    assert sum(found.values()) == pytest.approx(1.0)


def test_tables_name_every_setup_with_its_gain():
    table = scaling.rates_table(values())
    assert [row[0] for row in table.rows] == [
        "simple_cnn: 1 process, 2 threads",
        "simple_cnn: 1 process, 1 thread",
        "simple_cnn: 2 processes, 1 thread each",
    ]
    assert [row[1:] for row in table.rows] == [
        ["150", "140 to 160", "1.50x", "75 %"],
        ["100", "90 to 110", "1.00x", "100 %"],
        ["120", "120 to 120", "1.20x", "60 %"],
    ]
    assert "batch 128 in bf16, gloo" in table.caption
    [row] = scaling.parts_table(values()).rows
    assert row == ["simple_cnn", "8.5 MB", "60 %", "15 %", "25 %"]


# --- what is measured ---------------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch):
    """Processes that are not started, but answer: how many, their threads and arguments."""
    seen: list[tuple[int, int, list[str]]] = []

    def run(arguments, *, processes, threads):
        seen.append((processes, threads, arguments))
        rate = {"averaged": 60.0 * processes * threads, "parameters": 7}
        rate |= {"own": 130.0} if processes > 1 else {}
        said = {"precision": "fp32", "device": "cpu", "images": 45_000}
        said["recipes"] = {name: rate for name in scaling.RECIPES if name in arguments}
        return "SYNTHETIC DATA\n" + json.dumps(said)

    monkeypatch.setattr(scaling, "torchrun", run)
    return seen


def bench(tmp_path, **options):
    return scaling.bench_scaling(names=("simple_cnn",), data=tmp_path, seconds=90.0, **options)


def test_setups_take_turns_and_every_other_round_goes_backwards(started, tmp_path, capsys):
    result = bench(tmp_path)
    one, both = [(1, 2), (1, 1), (2, 1)], [(2, 1), (1, 1), (1, 2)]
    assert [(processes, threads) for processes, threads, _ in started] == [*one, *both, *one]
    for _, threads, arguments in started:
        assert arguments[:3] == ["-m", "cifar_lessons.scaling_worker", "simple_cnn"]
        assert f"--threads={threads}" in arguments
        assert "--seconds=2.0" in arguments  # 90 / 9, less the start
        assert f"--data={tmp_path}" in arguments
    rates = {"1 x 2": [120.0] * 3, "1 x 1": [60.0] * 3, "2 x 1": [120.0] * 3, "own": [130.0] * 3}
    assert result["values"]["rates"] == {"simple_cnn": rates}
    assert result["values"]["parameters"] == {"simple_cnn": 7}
    assert {"load_average_after", "cores_busy_elsewhere"} <= result["provenance"].keys()
    assert capsys.readouterr().out.count("of 3, images/s: simple_cnn 1 x 2 120.0, 1 x 1 60.0") == 3


def test_it_is_stored_as_a_study_and_read_back(started, tmp_path):
    result = bench(tmp_path, progress=False)
    facts = {**result["provenance"], "git_dirty": False}  # only committed code is recorded
    recording.record_study("bench_scaling", result["values"], provenance=facts, root=tmp_path)
    said = scaling.format_result(scaling.load(root=tmp_path))
    assert said == scaling.format_result({**result, "provenance": facts})
    assert "images (synthetic)" in said
    assert "Where the time of 2 processes goes." in said


def test_a_study_that_is_missing_is_asked_for_by_its_command(tmp_path):
    with pytest.raises(runs.MissingRun, match="run `cifar-lessons bench scaling --record`"):
        scaling.load(root=tmp_path)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seconds": 0}, "--seconds must be in (0, 86400], got 0; try --seconds 300"),
        ({"processes": 1}, "--processes must be in [2, 64], got 1; try --processes 2"),
        ({"names": ("simple_cn",)}, "no recipe 'simple_cn': did you mean 'simple_cnn'"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(started, wrong, said):
    with pytest.raises(UserError) as error:
        scaling.bench_scaling(**wrong)
    assert said in str(error.value)
    assert started == []


def test_a_real_process_is_understood(tmp_path):
    """The only test here that starts one: alone, for an instant."""
    said = scaling._run(("simple_cnn",), 1, 1, 0.01, "cpu", tmp_path)
    assert said["recipes"]["simple_cnn"]["parameters"] == 2_122_186
    assert said["recipes"]["simple_cnn"]["averaged"] > 0
