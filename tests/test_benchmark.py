"""Mirrors cifar_lessons/benchmark.py: that it measures what it says, never how fast it is."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch

from cifar_lessons import benchmark, recording, runs
from cifar_lessons.benchmark import bench_train, format_result, full_size, network
from cifar_lessons.config import ModelConfig, Recipe
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import Runtime

CPU = Runtime(device=torch.device("cpu"), precision="fp32")
LOOPS = {"ours", "plain_0", "plain_1", "plain_2"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A whole benchmark, as short as it gets: three rounds of two steps of four images."""
    torch.set_num_threads(1)  # as in every test; a module's fixture runs before that is set
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "full_size", lambda data: data)
        result = bench_train(
            model="simple_cnn",
            seconds=0.01,
            data=tmp_path_factory.mktemp("no_data"),
            ladder=True,
            batch_size=4,
            command="cifar-lessons bench train",
            progress=False,
        )
    assert torch.get_num_threads() == threads
    return result


@pytest.fixture
def untimed(monkeypatch):
    """Small data, and made-up rates where turns would be taken."""
    monkeypatch.setattr(benchmark, "full_size", lambda data: data)
    monkeypatch.setattr(
        benchmark, "take_turns", lambda *args, **kwargs: {"ours": [2.0], "plain_0": [1.0]}
    )


def test_every_loop_is_measured_in_every_round(measured):
    values = measured["values"]
    assert LOOPS | {"memory"} <= set(values["train"]) <= LOOPS | {"memory", "channels_last"}
    assert set(values["pipeline"]) == LOOPS
    for stage in ("train", "pipeline"):
        for rates in values[stage].values():
            assert len(rates) == len(values[stage]["ours"]) >= 3
            assert min(rates) > 0


def test_it_says_on_what_it_was_measured(measured):
    values, facts = measured["values"], measured["provenance"]
    assert values["synthetic"] is True
    assert facts["data_digest"] == "synthetic"
    assert values["images"] == 2_000
    assert facts["threads"] == torch.get_num_threads()
    assert facts["command"] == "cifar-lessons bench train"
    assert facts["packages"]["pillow"]
    assert {"device", "load_average", "load_average_after", "cores_busy_elsewhere"} <= set(facts)


def test_no_worker_is_left(measured):
    assert multiprocessing.active_children() == []


def test_it_can_be_stored_as_a_study_and_read_back(measured, tmp_path):
    json.dumps(measured, allow_nan=False)
    measured["provenance"]["git_dirty"] = False  # only committed code is recorded
    recording.record_study(
        "bench_train", measured["values"], provenance=measured["provenance"], root=tmp_path
    )
    assert format_result(runs.load_study("bench_train", root=tmp_path)) == format_result(measured)


def test_the_synthetic_twin_is_announced(tmp_path, capsys, untimed):
    bench_train(model="simple_cnn", data=tmp_path, batch_size=4)
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("SYNTHETIC DATA")


def test_the_twin_is_repeated_to_full_size_and_real_data_left_alone():
    small = synthetic(num_train=30, num_test=1, val_size=0)
    full = full_size(small)
    assert len(full.train) == 50_000
    assert torch.equal(full.train.images[30:60], small.train.images)
    assert torch.equal(full.train.labels[49_980:50_000], small.train.labels[:20])
    real = type(small)(**{**vars(small), "digest": "0f12"})
    assert full_size(real) is real


def test_all_loops_train_the_same_network_in_their_own_layout():
    recipe = Recipe(name="bench_train", model=ModelConfig(name="resnet18", options={"width": 4}))
    plain = network(recipe, CPU, torch.contiguous_format)
    ours = network(recipe, CPU)
    assert all(
        torch.equal(a, b) for a, b in zip(plain.parameters(), ours.parameters(), strict=True)
    )
    assert plain.layer1[0].conv1.weight.is_contiguous()
    assert ours.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert plain.training
    assert ours.training


def test_each_loop_computes_in_the_layout_and_precision_that_its_row_names(
    tmp_path, monkeypatch, untimed
):
    """Looks at what the second convolution gives in each loop's first step."""
    outputs: list[torch.Tensor] = []
    seen = {}

    def watched(recipe, runtime, order=torch.channels_last):
        model = network(recipe, runtime, order)
        model.convs[3].register_forward_hook(lambda _model, _input, out: outputs.append(out))
        return model

    def first_steps(contenders, **_):
        for contender in contenders:
            if contender.key in ("plain_1", "plain_2"):
                continue  # the step of plain_0, with batches from other processes
            outputs.clear()
            assert contender.step(next(contender.batches)) == 4
            if outputs:  # none from the pipelines
                seen[contender.key] = (outputs[0].dtype, outputs[0].is_contiguous())
        return {"ours": [2.0], "plain_0": [1.0]}

    monkeypatch.setattr(benchmark, "network", watched)
    monkeypatch.setattr(benchmark, "take_turns", first_steps)
    monkeypatch.setattr(
        benchmark, "detect", lambda device: Runtime(device=CPU.device, precision="bf16")
    )
    bench_train(model="simple_cnn", data=tmp_path, batch_size=4, ladder=True, progress=False)
    assert seen == {
        "ours": (torch.bfloat16, False),
        "plain_0": (torch.float32, True),
        "memory": (torch.float32, True),
        "channels_last": (torch.float32, False),
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seconds": 0}, r"--seconds must be in \(0, 86400\], got 0; try --seconds 270"),
        ({"seconds": float("nan")}, "got nan"),
        ({"model": "resnet81"}, "unknown model 'resnet81': did you mean 'resnet18'"),
        ({"batch_size": 0}, "batch_size must be in .*, got 0"),
    ],
)
def test_a_mistake_is_told_before_anything_takes_time(wrong, message, monkeypatch):
    def load(*_args, **_kwargs):
        raise AssertionError("the data was read first")

    monkeypatch.setattr(benchmark, "load_or_synthetic", load)
    with pytest.raises(UserError, match=message):
        bench_train(**wrong)


@pytest.mark.skipif(os.name != "posix", reason="sends a terminal's Ctrl-C to a process group")
def test_ctrl_c_ends_quietly_and_leaves_no_process(tmp_path):
    script = tmp_path / "bench.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from pathlib import Path
            from cifar_lessons import benchmark, interleave

            benchmark.full_size = lambda data: data
            interleave.PLANNED_ROUNDS = 10**9  # very short blocks, and no end of rounds
            if __name__ == "__main__":
                try:
                    benchmark.bench_train(
                        model="simple_cnn", seconds=600, data=Path(sys.argv[1]), batch_size=4
                    )
                except KeyboardInterrupt:
                    sys.exit(130)
            """
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "error", script, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("round 2"):  # all workers are up
                break
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130
        assert said == ""
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
