"""What a 16-bit format buys: step time and memory of four networks, against fp32 in one run.

Both precisions take turns, network by network and batch size by batch size; the memory of each
is measured in a process of its own. Both use the same layout (channels_last), optimizer and
`train_step`.
"""

import itertools
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any

from cifar_lessons.config import ModelConfig
from cifar_lessons.data.loader import Batch
from cifar_lessons.errors import UserError
from cifar_lessons.interleave import Contender, take_turns
from cifar_lessons.runtime import Precision, Runtime, detect
from cifar_lessons.speed.conditions import Conditions
from cifar_lessons.speed.footprint import made_up_batch, measure_apart, training_step
from cifar_lessons.speed.wrong import require_batches, require_known, require_seconds
from cifar_lessons.throughput import Result, ratio

MODELS = {
    "simple_cnn": ModelConfig(name="simple_cnn"),
    "resnet18_w16": ModelConfig(name="resnet18", options={"width": 16}),
    "resnet18": ModelConfig(name="resnet18"),
    "mobilenet_v2": ModelConfig(name="mobilenet_v2"),
}
BATCHES = (32, 128, 512)


def bench_precision(
    *,
    models: Sequence[str] = tuple(MODELS),
    batches: Sequence[int] = BATCHES,
    seconds: float = 780.0,
    device: str = "auto",
    command: str = "",
    progress: bool = True,
) -> Result:
    """Measure fp32 against the 16-bit formats that this device is fast at.

    Args:
        models: Keys of `MODELS`.
        batches: Images in a batch, each in [2, 4096].
        seconds: For all of it. Three rounds of each pair are run however long they take.
        device: See `runtime.detect`. Code for accelerators is in place, and has never run on one
            in this project.
        command: What the user typed, kept in the provenance.
        progress: Print what is at work.

    Returns:
        `values` and `provenance`, ready for JSON and for `recording.record_study("bench_precision",
        …)`. `values["cells"]` has an entry for each network and batch size: `rates` in images/s,
        `speedup` over fp32 and `memory` in bytes, by precision.

    Raises:
        UserError: A value out of range, an unknown name, or a device with one precision only.
    """
    require_seconds(seconds, "780")
    require_known(models, MODELS, "--models")
    require_batches(batches, "32 128 512")
    conditions = Conditions()
    runtime = detect(device=device)
    lower = lower_precisions(runtime)
    if not lower:
        raise UserError(
            f"{runtime.device.type} here is fast at fp32 alone, so there is nothing to compare; "
            "bf16 needs a CPU with avx512_bf16, or a CUDA device"
        )
    conditions.start(runtime, command=command)

    def say(line: str) -> None:
        if progress:
            print(line, flush=True)

    deadline = time.perf_counter() + seconds
    # The largest first: where it takes longer than its share, the others make up for it.
    plan = list(itertools.product(sorted(set(batches), reverse=True), dict.fromkeys(models)))
    cells = []
    for number, (batch_size, name) in enumerate(plan, start=1):
        say(f"{number} of {len(plan)}: {name}, batch {batch_size}")
        # Each asks for its share of what is left.
        share = max(1.0, deadline - time.perf_counter()) / (len(plan) - number + 1)
        cell = _cell(name, batch_size, [("fp32", runtime), *lower], share, say)
        if cell:
            cells.append(cell)
    facts, spent = conditions.finish()
    order = list(MODELS)
    cells.sort(key=lambda cell: (order.index(cell["model"]), cell["batch"]))
    values = {
        "device_type": runtime.device.type,
        "device": facts["device"],
        "cores": facts["cores"],
        "precisions": ["fp32", *(p for p, _ in lower)],
        "seconds": round(spent, 1),
        "cells": cells,
    }
    return {"values": values, "provenance": facts}


def lower_precisions(runtime: Runtime) -> list[tuple[Precision, Runtime]]:
    """Return the 16-bit precisions that a device computes in, each with its runtime."""
    found: list[Precision] = ["bf16"] if runtime.precision == "bf16" else []
    if runtime.device.type == "cuda":
        found.append("fp16")
    return [(precision, replace(runtime, precision=precision)) for precision in found]


def _cell(
    name: str,
    batch_size: int,
    arms: Sequence[tuple[Precision, Runtime]],
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Any] | None:
    """Measure one network at one batch size, or say why that can't be done."""
    began = time.perf_counter()
    memory = {}
    for precision, runtime in arms:
        exact = replace(runtime, precision=precision)
        found, why = measure_apart(MODELS[name], batch_size, exact)
        if found is None:
            say(f"  left out: {precision} gave no answer, perhaps for lack of memory ({why})")
            return None
        memory[precision] = found
    left = max(1.0, seconds - (time.perf_counter() - began))
    contenders = [
        contender(precision, MODELS[name], batch_size, replace(runtime, precision=precision))
        for precision, runtime in arms
    ]
    rates = take_turns(contenders, seconds=left, say=lambda line: say(f"  {line}"))
    return {
        "model": name,
        "batch": batch_size,
        "rates": rates,
        "speedup": {p: ratio(rates[p], rates["fp32"]) for p, _ in arms if p != "fp32"},
        "memory": memory,
    }


def contender(key: str, model: ModelConfig, batch_size: int, runtime: Runtime) -> Contender:
    """Return training steps of a network, to be timed in turns with others.

    Args:
        key: Its name in the result.
        model: Which network.
        batch_size: Images of the one batch that is used again and again.
        runtime: Device and precision.
    """
    batch = made_up_batch(batch_size, runtime.device)
    _, step = training_step(model, runtime)

    def batches() -> Generator[Batch, None, None]:
        while True:
            yield batch

    def one(batch: Batch) -> int:
        step(batch)
        return len(batch)

    return Contender(key=key, batches=batches(), step=one, synchronize=runtime.synchronize)
