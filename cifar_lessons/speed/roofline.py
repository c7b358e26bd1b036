"""The roofline of this CPU, and where the layers of two networks lie under it.

A layer that does I operations a byte cannot be faster than the lower of two roofs: the peak of
the arithmetic, and I times the bandwidth of the memory. What it reaches in training is measured
beside it, forward and backward, each layer alone. A layer whose tensors stay in the cache may
rise above the sloping roof, which was measured on main memory.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import nn

from cifar_lessons.config import ModelConfig
from cifar_lessons.runtime import Runtime, detect, layout
from cifar_lessons.speed.conditions import Conditions
from cifar_lessons.speed.layers import Layer, layers
from cifar_lessons.speed.peaks import copy_rate, matmul_rate
from cifar_lessons.speed.wrong import require_batches, require_seconds
from cifar_lessons.throughput import Result

NETWORKS = {
    "resnet18": ModelConfig(name="resnet18"),
    "mobilenet_v2": ModelConfig(name="mobilenet_v2"),
}
PEAKS_SHARE = 0.15  # of the time
FEWEST = 3  # timed calls of a layer in each precision


def bench_roofline(
    *,
    seconds: float = 150.0,
    batch_size: int = 128,
    networks: Sequence[str] = tuple(NETWORKS),
    command: str = "",
    progress: bool = True,
) -> Result:
    """Measure the two roofs, and every layer of two networks, in fp32 and in bf16.

    Args:
        seconds: For all of it; each layer is timed three times in any case.
        batch_size: In [2, 4096].
        networks: Keys of `NETWORKS`.
        command: What the user typed, kept in the provenance.
        progress: Print what is at work.

    Returns:
        `values` and `provenance`, ready for JSON and for `recording.record_study("roofline", …)`.
        Rates are in operations and bytes a second; times are medians of a training step.

    Raises:
        UserError: A value out of range.
    """
    require_seconds(seconds, "150")
    require_batches([batch_size], "128", flag="--batch-size")
    conditions = Conditions()
    runtime = detect(device="cpu")
    precisions = ["fp32", *(["bf16"] if runtime.precision == "bf16" else [])]
    conditions.start(runtime, command=command)

    def say(line: str) -> None:
        if progress:
            print(line, flush=True)

    deadline = time.perf_counter() + seconds
    say("the roofs: matrix products and copies")
    threads = sorted({1, torch.get_num_threads()})
    each = PEAKS_SHARE * seconds / (len(threads) * (len(precisions) + 1))
    peaks = {
        precision: {str(n): matmul_rate(precision, threads=n, seconds=each) for n in threads}
        for precision in precisions
    }
    bandwidth = {str(n): copy_rate(threads=n, seconds=each) for n in threads}
    plan = [(name, layer) for name in networks for layer in layers(NETWORKS[name])]
    rows: list[dict[str, Any]] = []
    for done, (name, layer) in enumerate(plan):
        if not done or plan[done - 1][0] != name:
            say(f"the layers of {name}")
        left = (deadline - time.perf_counter()) / (len(plan) - done)
        rows.append({"model": name, **time_layer(layer, batch_size, precisions, runtime, left)})
    facts, spent = conditions.finish()
    values = {
        "batch_size": batch_size,
        "threads": torch.get_num_threads(),
        "precisions": precisions,
        "peaks": {p: {n: float(f"{x:.4g}") for n, x in by.items()} for p, by in peaks.items()},
        "bandwidth": {n: float(f"{x:.4g}") for n, x in bandwidth.items()},
        "layers": rows,
        "seconds": round(spent, 1),
    }
    return {"values": values, "provenance": facts}


def time_layer(
    layer: Layer,
    batch_size: int,
    precisions: Sequence[str],
    runtime: Runtime,
    seconds: float,
) -> dict[str, Any]:
    """Return a layer's work and its times, the precisions in turns.

    Args:
        layer: From `layers`.
        batch_size: Images.
        precisions: Of the runs.
        runtime: Its device is used.
        seconds: To spend; at least three timed calls are made in each precision.
    """
    calls = {p: training_pass(layer, batch_size, p, runtime) for p in precisions}
    times: dict[str, list[float]] = {p: [] for p in precisions}
    start = time.perf_counter()
    for call in calls.values():
        call()  # sets up kernels
    while len(times[precisions[-1]]) < FEWEST or time.perf_counter() - start < seconds:
        for precision, call in calls.items():
            began = time.perf_counter()
            call()
            times[precision].append(time.perf_counter() - began)
    return {
        "kind": layer.kind,
        "layer": layer.name,
        "count": layer.count,
        "operations": layer.operations(batch_size),
        "bytes": {p: layer.traffic(batch_size, p) for p in precisions},
        "seconds": {p: _spread(found) for p, found in times.items()},
    }


def training_pass(
    layer: Layer, batch_size: int, precision: str, runtime: Runtime
) -> Callable[[], object]:
    """Return a function that takes one layer forward and backward, as a training step does."""
    exact = replace(runtime, precision="bf16" if precision == "bf16" else "fp32")
    module: nn.Module = copy.deepcopy(layer.module).train()
    module = module.to(runtime.device, memory_format=layout(runtime.device))  # type: ignore[call-overload]
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(batch_size, *layer.input, generator=rng).to(runtime.device)
    if x.ndim == 4:
        x = x.contiguous(memory_format=layout(runtime.device))
    # What comes from the layer before is in the low precision already; images are not.
    if precision == "bf16" and not layer.first:
        x = x.to(torch.bfloat16)
    x.requires_grad_(not layer.first)
    with exact.autocast():
        gradient = torch.randn_like(module(x))
    wanted = [*([] if layer.first else [x]), *module.parameters()]

    def call() -> object:
        with exact.autocast():
            out = module(x)
        return torch.autograd.grad(out, wanted, gradient)

    return call


def _spread(times: Sequence[float]) -> dict[str, float]:
    """Return median, shortest, longest and number, to 4 digits."""
    found = {"median": median(times), "low": min(times), "high": max(times)}
    return {**{k: float(f"{v:.4g}") for k, v in found.items()}, "n": len(times)}
