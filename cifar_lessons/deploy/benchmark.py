"""How long one answer takes: the same networks by PyTorch and by other engines, in turns.

The protocol: the same number of threads for every engine; a fresh process for each (network,
engine, batch, threads), warmed up, and idle while the others are timed; blocks of calls in turns,
every other round backwards; percentiles over all calls, ratios against eager fp32 of the same run
with the range over the rounds; the load of the machine recorded; beside each latency the accuracy
of that very file on the test images. A call takes 8-bit pixels and gives logits, so normalisation
is in it for all engines.

ONNX Runtime's idle threads sleep, as everywhere in this library; with two threads that costs it a
little. `torch.compile` is left out: it needs a C++ compiler and a minute for each network, batch
and number of threads, and gives no file to deploy.
"""

import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from cifar_lessons.data.cifar import load_or_synthetic
from cifar_lessons.deploy.command import require_packages
from cifar_lessons.deploy.latency_worker import LEAD_IN, WARM_UP, Worker
from cifar_lessons.deploy.prepared import LARGEST, Prepared, prepare, score
from cifar_lessons.deploy.runtimes import BASE, WAYS, Device, base_of
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import detect, has_bf16, num_cores
from cifar_lessons.speed.conditions import Conditions, load_average
from cifar_lessons.speed.wrong import require_known
from cifar_lessons.throughput import Result

# Name: the recipe whose seed 0 gives the weights, where it is recorded.
MODELS = {
    "simple_cnn": "simple_cnn_flip_crop",
    "resnet18": "resnet18",
    "mobilenet_v2": "mobilenet",
    "resnet18_w16": "resnet18_w16",
    "mobilenet_w05": "mobilenet_w05",
}
CHOSEN = ("simple_cnn", "resnet18", "mobilenet_v2", "resnet18_w16")
BATCHES, THREADS = (1, 64), (1, 2)
ROUNDS = 10
CALLS, CALLS_OF_MANY, MANY = 200, 100, 16  # timed calls; fewer where a call holds many images
CALIBRATION = 1_000  # training images
QUICK_CALLS, QUICK_IMAGES = 10, 100  # so many images to calibrate with, and to score

# For the estimate alone: seconds of an eager call with one image on one core of a server CPU.
ROUGHLY = {
    "simple_cnn": 0.0008,
    "resnet18": 0.020,
    "mobilenet_v2": 0.008,
    "resnet18_w16": 0.003,
    "mobilenet_w05": 0.003,
}
OF_EAGER = 2.4  # all four ways of a CPU together, in calls of the first
OF_A_BATCH = 0.55  # an image among many, in images alone
START = 6.0  # seconds that a process needs to start


def bench_latency(
    *,
    models: Sequence[str] = CHOSEN,
    batches: Sequence[int] = BATCHES,
    threads: Sequence[int] = THREADS,
    device: Device = "cpu",
    quick: bool = False,
    data: Path | None = None,
    command: str = "",
    progress: bool = True,
) -> Result:
    """Measure latency and accuracy of every network by every way to run it.

    Args:
        models: Keys of `MODELS`.
        batches: Images in a call, each in [1, 256].
        threads: Numbers of CPU threads.
        device: `cpu`; or `cuda` for eager, ONNX Runtime and TensorRT on an NVIDIA GPU, which has
            never run in this project.
        quick: 10 calls, and the accuracy on 100 images: it shows that all works, and no more.
        data: Folder of the data. The synthetic twin stands in where there is none.
        command: What the user typed, kept in the provenance.
        progress: Print what is at work.

    Returns:
        `values` and `provenance`, ready for `recording.record_study("bench_latency", …)`.
        `values["models"]` holds facts and scores by network, `values["cells"]` an entry for each
        network, batch and number of threads: `ways` with `p50`, `p90`, `p99` and `mean` in
        seconds and the medians of the `blocks`, and `ratios` over the base.

    Raises:
        UserError: A value out of range, an unknown network, a package that is missing, or a
            process that gave no answer.
    """
    require_known(models, MODELS, "--models")
    _require("--batches", batches, LARGEST, "1 64")
    _require("--threads", threads, num_cores(), "1")
    require_packages()
    conditions = Conditions()
    runtime = detect(device=device)
    ways = ways_of(device)
    names = list(dict.fromkeys(models))
    plan = list(itertools.product(names, sorted(set(batches)), sorted(set(threads))))

    def say(line: str) -> None:
        if progress:
            print(line, flush=True)

    say(f"about {minutes(plan, quick=quick):.0f} minutes on idle cores, {len(plan)} cells")
    found = load_or_synthetic("cifar10", root=data)
    images = min(len(found.test), QUICK_IMAGES if quick else len(found.test))
    calibration = QUICK_IMAGES if quick else CALIBRATION
    conditions.start(runtime, command=command, data_digest=found.digest)
    facts: dict[str, Any] = {}
    cells: list[dict[str, Any]] = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            say(f"{name}: files and accuracy")
            ready = prepare(name, MODELS[name], ways, Path(folder), found, calibration=calibration)
            scores = score(ready, ways, found, images=images, threads=max(threads))
            facts[name] = {**ready.facts, "scores": scores}
            for _, batch, n in (cell for cell in plan if cell[0] == name):
                cells.append(_cell(name, ready, ways, batch, n, quick=quick, say=say))
    provenance, spent = conditions.finish()
    provenance["threads"] = max(threads)
    provenance["packages"] |= _versions()
    values = {
        "device_type": device,
        "device": provenance["device"],
        "cores": provenance["cores"],
        "ways": list(ways),
        "models": facts,
        "cells": cells,
        "images": images,
        "calibration": calibration,
        "warm_up": WARM_UP,
        "quick": quick,
        "synthetic": found.synthetic,
        "seconds": round(spent, 1),
    }
    return {"values": values, "provenance": provenance}


def ways_of(device: Device) -> list[str]:
    """Return the ways to run a network that this machine has, the base first."""
    found = [way for way, how in WAYS.items() if how.device == device]
    # Without instructions of its own, bf16 is many times slower than fp32 and says nothing.
    if device == "cpu" and not has_bf16(detect(device="cpu", precision="fp32").device):
        found.remove("eager_bf16")
    assert found[0] == BASE[device]
    return found


def calls_of(batch: int, *, quick: bool) -> int:
    """Return how many calls are timed for each way."""
    if quick:
        return QUICK_CALLS
    return CALLS if batch < MANY else CALLS_OF_MANY


def minutes(plan: Sequence[tuple[str, int, int]], *, quick: bool) -> float:
    """Return about how long a plan takes on idle cores.

    Args:
        plan: (network, batch, threads) of each cell. That threads help is left out.
        quick: See `bench_latency`.
    """
    total = len(plan) * 4 * START
    images = QUICK_IMAGES if quick else 10_000
    for name in dict.fromkeys(name for name, _, _ in plan):
        total += images * OF_EAGER * OF_A_BATCH * ROUGHLY[name]
    for name, batch, _ in plan:
        calls = calls_of(batch, quick=quick) + WARM_UP + ROUNDS * LEAD_IN
        each = ROUGHLY[name] * (1 if batch == 1 else batch * OF_A_BATCH)
        total += calls * OF_EAGER * each
    return total / 60


def _require(flag: str, numbers: Sequence[int], most: int, mend: str) -> None:
    wrong = [n for n in numbers if not 1 <= n <= most]
    if wrong or not numbers:
        got = wrong[0] if wrong else "none"
        raise UserError(f"{flag} must be in [1, {most}], got {got}; try {flag} {mend}")


def _versions() -> dict[str, str]:
    import onnx
    import onnxruntime

    return {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}


def _cell(
    name: str,
    ready: Prepared,
    ways: Sequence[str],
    batch: int,
    threads: int,
    *,
    quick: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Time all ways for one network, batch and number of threads."""
    calls, load = calls_of(batch, quick=quick), load_average()
    workers: list[Worker] = []
    try:
        for way in ways:  # one after the other: each warms up alone
            workers.append(Worker(way, ready.folder, batch=batch, threads=threads))
            workers[-1].ready()
        blocks = in_turns({worker.way: worker.block for worker in workers}, calls)
    finally:
        for worker in workers:
            worker.close()
    where = {"model": name, "batch": batch, "threads": threads, "load_average": load}
    cell: dict[str, Any] = {**where, **summarise(blocks)}
    shown = ", ".join(f"{way} {1000 * cell['ways'][way]['p50']:.2f} ms" for way in ways)
    say(f"  batch {batch}, {threads} thread{'s' * (threads != 1)}: {shown}")
    return cell


def in_turns(
    timers: Mapping[str, Callable[[int], list[float]]], calls: int
) -> dict[str, list[list[float]]]:
    """Return the seconds of calls in blocks, one block a round for each.

    Every other round goes backwards, so that none always follows the same one.

    Args:
        timers: By way: takes a number of calls, returns the seconds of each.
        calls: For each way, over all rounds.
    """
    each = -(-calls // ROUNDS)
    blocks: dict[str, list[list[float]]] = {way: [] for way in timers}
    for turn in range(ROUNDS):
        for way in list(timers)[:: 1 if turn % 2 == 0 else -1]:
            blocks[way].append(timers[way](each))
    return blocks


def summarise(blocks: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, Any]:
    """Return percentiles by way, and how many times faster each is than its base.

    Args:
        blocks: Seconds of calls, by way and round.

    Returns:
        `calls`, `ways` and `ratios`. A ratio is that of the medians of all calls; `low` and `high`
        are the ratios of single rounds' medians.
    """
    ways: dict[str, dict[str, Any]] = {}
    ratios: dict[str, dict[str, float]] = {}
    for way, rounds in blocks.items():
        times = [second for block in rounds for second in block]
        p50, p90, p99 = np.percentile(times, (50, 90, 99))
        shown = {"p50": p50, "p90": p90, "p99": p99, "mean": fmean(times)}
        ways[way] = {key: _short(value) for key, value in shown.items()}
        ways[way]["blocks"] = [_short(median(block)) for block in rounds]
        base = blocks[base_of(way)]
        single = [median(b) / median(r) for b, r in zip(base, rounds, strict=True)]
        whole = median([s for block in base for s in block]) / median(times)
        spread = {"ratio": whole, "low": min(single), "high": max(single)}
        ratios[way] = {key: round(value, 3) for key, value in spread.items()}
    return {"calls": len(times), "ways": ways, "ratios": ratios}


def _short(seconds: float) -> float:
    return float(f"{seconds:.4g}")
