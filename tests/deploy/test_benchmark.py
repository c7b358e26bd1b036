"""Mirrors cifar_lessons/deploy/benchmark.py: what is timed in which order, never how fast it is."""

import json

import pytest

from cifar_lessons.deploy import benchmark, latency_tables
from cifar_lessons.deploy.benchmark import (
    CALLS,
    CALLS_OF_MANY,
    MODELS,
    QUICK_CALLS,
    ROUNDS,
    bench_latency,
    calls_of,
    in_turns,
    minutes,
    summarise,
    ways_of,
)
from cifar_lessons.deploy.prepared import Prepared
from cifar_lessons.errors import UserError

SCORE = {"accuracy": 0.5, "change": 0.0, "low": 0.0, "high": 0.0}


class Instant:
    """A process that says how often it was asked, and takes no time."""

    alive = 0

    def __init__(self, way, folder, *, batch, threads):
        self.way, self.asked = way, []
        Instant.alive += 1

    def ready(self):
        assert self.asked == []

    def block(self, calls):
        self.asked.append(calls)
        return [0.01 if self.way == "eager" else 0.002] * calls

    def close(self):
        Instant.alive -= 1


@pytest.fixture
def instant(monkeypatch, tmp_path):
    monkeypatch.setenv("CIFAR_LESSONS_DATA", str(tmp_path / "none"))
    monkeypatch.setattr(benchmark, "Worker", Instant)
    monkeypatch.setattr(benchmark, "ways_of", lambda device: ["eager", "ort", "ort_int8"])

    def ready(name, recipe, ways, folder, data, *, calibration):
        assert calibration == 1_000
        weights = "fresh" if name == "mobilenet_v2" else "recorded"
        return Prepared(folder, {"weights": weights, "bytes": dict.fromkeys(ways, 1_000)})

    monkeypatch.setattr(benchmark, "prepare", ready)
    monkeypatch.setattr(
        benchmark,
        "score",
        lambda p, ways, *_, **__: (
            {} if p.facts["weights"] == "fresh" else dict.fromkeys(ways, SCORE)
        ),
    )


def test_every_cell_is_measured_and_every_process_ends(instant, capsys):
    result = bench_latency(models=["simple_cnn", "mobilenet_v2"], batches=[64, 1], threads=[1])
    values = result["values"]
    cells = [(c["model"], c["batch"], c["threads"], c["calls"]) for c in values["cells"]]
    assert cells == [
        *(("simple_cnn", 1, 1, CALLS), ("simple_cnn", 64, 1, CALLS_OF_MANY)),
        *(("mobilenet_v2", 1, 1, CALLS), ("mobilenet_v2", 64, 1, CALLS_OF_MANY)),
    ]
    assert Instant.alive == 0
    assert values["models"]["simple_cnn"]["scores"]["ort"] == SCORE
    assert values["models"]["mobilenet_v2"]["scores"] == {}
    assert values["cells"][0]["ratios"]["ort"] == {"ratio": 5.0, "low": 5.0, "high": 5.0}
    assert values["synthetic"]  # so it is not recorded
    json.dumps(result, allow_nan=False)
    assert "simple_cnn, ONNX Runtime, int8" in latency_tables.format_result(result)
    assert result["provenance"]["packages"].keys() >= {"torch", "onnx", "onnxruntime"}
    assert capsys.readouterr().out.startswith("about ")


def test_a_process_that_fails_leaves_none_behind(instant, monkeypatch):
    def fails(self, calls):
        raise UserError("gave no answer")

    monkeypatch.setattr(Instant, "block", fails)
    with pytest.raises(UserError, match="gave no answer"):
        bench_latency(models=["simple_cnn"], batches=[1], threads=[1], progress=False)
    assert Instant.alive == 0


def test_blocks_take_turns_and_every_other_round_goes_backwards():
    order = []

    def timer(way):
        def block(calls):
            order.append(way)
            return [1.0] * calls

        return block

    blocks = in_turns({way: timer(way) for way in "abc"}, CALLS)
    assert "".join(order) == "abccba" * (ROUNDS // 2)
    assert {way: sum(map(len, found)) for way, found in blocks.items()} == dict.fromkeys(
        "abc", CALLS
    )


def test_percentiles_are_of_all_calls_and_the_range_is_over_rounds():
    eager = [[0.010] * 10, [0.020] * 10]
    fast = [[0.002] * 10, [0.005] * 9 + [1.0]]
    found = summarise({"eager": eager, "ort": fast})
    assert found["calls"] == 20
    assert found["ways"]["ort"]["p50"] == pytest.approx(0.0035)
    assert found["ways"]["ort"]["p90"] == pytest.approx(0.005)
    assert found["ways"]["ort"]["p99"] > 0.5  # the one bad call
    assert found["ways"]["ort"]["mean"] > 0.05
    assert found["ways"]["ort"]["blocks"] == [0.002, 0.005]
    assert found["ratios"]["ort"] == {"ratio": round(0.015 / 0.0035, 3), "low": 4.0, "high": 5.0}
    assert found["ratios"]["eager"]["ratio"] == 1.0


def test_quick_is_short_and_the_estimate_knows_it():
    assert calls_of(1, quick=True) == calls_of(64, quick=True) == QUICK_CALLS
    plan = [("resnet18", 1, 1), ("resnet18", 64, 1)]
    assert minutes(plan, quick=True) < minutes(plan, quick=False) / 3
    assert 5 < minutes(plan, quick=False) < 20
    assert set(benchmark.ROUGHLY) == set(MODELS)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"models": ["resnet81"]}, "--models: no 'resnet81': did you mean 'resnet18'"),
        ({"batches": [0]}, r"--batches must be in \[1, 256\], got 0; try --batches 1 64"),
        ({"batches": []}, "got none"),
        ({"threads": [999]}, r"--threads must be in \[1, \d+\], got 999; try --threads 1"),
    ],
)
def test_a_wrong_value_is_one_line(wrong, words):
    with pytest.raises(UserError, match=words):
        bench_latency(**wrong)


def test_a_device_that_is_not_here_is_one_line():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU; the test needs a machine without")
    with pytest.raises(UserError, match="no 'cuda' device here"):
        bench_latency(device="cuda")


@pytest.mark.parametrize("fast", [True, False])
def test_bf16_is_timed_where_the_cpu_has_it(monkeypatch, fast):
    monkeypatch.setattr(benchmark, "has_bf16", lambda device: fast)
    assert ("eager_bf16" in ways_of("cpu")) is fast
    assert ways_of("cuda")[0] == "eager_cuda"


def test_the_recipes_exist():
    from cifar_lessons import recipes

    for name in MODELS.values():
        assert recipes.get(name).keep_weights
