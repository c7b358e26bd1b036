"""Made-up studies of speed, on a machine that does not exist."""

from typing import Any

import pytest

FACTS = {
    "device": "Made-up CPU",
    "cores": 2,
    "threads": 2,
    "python": "3.11.7",
    "packages": {"torch": "9.8.7"},
    "git_commit": "abcdef0123456789",
    "git_dirty": False,
    "started_at": "2026-01-02T03:04:05+00:00",
    "load_average": [0.1, 0.2, 0.3],
    "load_average_after": [2.0, 1.0, 0.5],
    "cores_busy_elsewhere": 0.01,
    "precision": "bf16",
    "command": "cifar-lessons bench",
}


def study(**values: Any) -> dict[str, Any]:
    return {"provenance": dict(FACTS), "values": {"seconds": 300.0, **values}}


def cell(model: str, batch: int, fp32: float, gain: float, saving: float) -> dict[str, Any]:
    """One network at one batch size, three rounds, with a tenth of its memory in cast weights."""
    rates = {"fp32": [fp32, 0.9 * fp32, 1.1 * fp32]}
    rates["bf16"] = [gain * rate for rate in rates["fp32"]]
    exact = {"saved": 1000 * batch, "weight_copies": 0, "before": 500, "peak": 500 + 2000 * batch}
    low = {
        "saved": round(1000 * batch * (1 - saving - 0.1)),
        "weight_copies": 100 * batch,
        "before": 600,
        "peak": 600 + round(2000 * batch * (1 - saving)),
    }
    return {
        "model": model,
        "batch": batch,
        "rates": rates,
        "speedup": {"bf16": {"ratio": gain, "low": 0.9 * gain, "high": 1.1 * gain}},
        "memory": {"fp32": exact, "bf16": low},
    }


@pytest.fixture
def precision_study() -> dict[str, Any]:
    return study(
        device_type="cpu",
        precisions=["fp32", "bf16"],
        cells=[
            cell("resnet18", 32, 40.0, 1.9, 0.4),
            cell("resnet18", 128, 50.0, 2.1, 0.4),
            cell("mobilenet_v2", 128, 80.0, 1.1, 0.3),
        ],
    )


@pytest.fixture
def input_study() -> dict[str, Any]:
    rates = {
        "ours": [100_000.0],
        "plain_0": [4_000.0],
        "plain_1": [3_000.0],
        "plain_2": [5_000.0],
        "image_tensors": [8_000.0],
        "image_loop": [16_000.0],
    }
    best = {"ratio": 20.0, "low": 19.0, "high": 21.0, "against": "plain_2"}
    return study(
        batch_size=128, images=50_000, synthetic=False, pipeline=rates, pipeline_alone=best
    )


def layer(model: str, kind: str, count: int, operations: float, seconds: float) -> dict[str, Any]:
    times = {"fp32": seconds, "bf16": seconds / 2}
    return {
        "model": model,
        "kind": kind,
        "layer": f"a {kind} layer",
        "count": count,
        "operations": operations,
        "bytes": {"fp32": operations / 10, "bf16": operations / 20},
        "seconds": {p: {"median": t, "low": t, "high": t, "n": 3} for p, t in times.items()},
    }


@pytest.fixture
def roofline_study() -> dict[str, Any]:
    return study(
        batch_size=128,
        threads=2,
        precisions=["fp32", "bf16"],
        peaks={"fp32": {"1": 1e11, "2": 2e11}, "bf16": {"1": 2e11, "2": 4e11}},
        bandwidth={"1": 1e10, "2": 2e10},
        layers=[
            layer("resnet18", "dense", 3, 3e10, 0.2),
            layer("resnet18", "batch norm", 1, 1e10, 0.4),
            layer("mobilenet_v2", "depthwise", 2, 1e9, 0.1),
        ],
    )


@pytest.fixture
def profile_study() -> dict[str, Any]:
    def loop(seconds: float) -> dict[str, Any]:
        groups = {"input": 0.25 * seconds, "convolution and linear": 0.75 * seconds, "other": 0.0}
        step = {"median": seconds, "low": seconds, "high": seconds, "n": 3}
        return {"groups": groups, "step": step, "reorder_share": 0.1}

    loops = {"plain_0": loop(3.2), "memory": loop(3.0), "channels_last": loop(2.4), "ours": loop(1)}
    return study(
        model="resnet18",
        batch_size=128,
        images=50_000,
        synthetic=False,
        precision="bf16",
        loops=loops,
    )
