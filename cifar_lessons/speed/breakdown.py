"""Where the time of a training step goes, for each step from the plain loop to ours.

PyTorch's profiler gives every operation the time that it spent itself; operations are put into
few groups by their names. A CPU's times only: on an accelerator these would be the times of
launching work, not of doing it.
"""

import functools
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from cifar_lessons.benchmark import RATE, Field, full_size, network
from cifar_lessons.config import DataConfig, ModelConfig, OptimConfig, Recipe
from cifar_lessons.data.cifar import load_or_synthetic
from cifar_lessons.interleave import Contender
from cifar_lessons.recipes import FLIP_CROP
from cifar_lessons.runtime import detect
from cifar_lessons.speed.conditions import Conditions
from cifar_lessons.speed.reorders import reorder_share
from cifar_lessons.speed.wrong import require_batches, require_seconds
from cifar_lessons.throughput import Result

LADDER = ("plain_0", "memory", "channels_last", "ours")
CONVOLUTION, COPIES = "convolution and linear", "copies and reorders"
# The first group one of whose words is in an operation's name has it; what has no such word, as
# making an empty tensor, belongs to the operation that called it.
WORDS: dict[str, tuple[str, ...]] = {
    "optimizer": ("_fused_",),
    "batch norm": ("batch_norm", "BatchNorm"),
    CONVOLUTION: ("convolution", "Convolution", "addmm", "aten::mm", "Addmm", "linear"),
    COPIES: ("copy_", "aten::to", "_to_copy", "clone", "contiguous", "ToCopyBackward"),
    "activation and elementwise": (
        *("relu", "Relu", "threshold", "hardtanh", "Hardtanh", "pool", "Pool", "aten::add"),
        *("softmax", "Softmax", "nll_loss", "Nll", "cross_entropy", "dropout", "Dropout"),
        *("aten::mul", "aten::div", "aten::mean", "aten::sum", "AddBackward"),
    ),
}
GROUPS = (*("input", CONVOLUTION, "batch norm", "activation and elementwise"), COPIES, "optimizer")
FEWEST_ROUNDS = 3


def bench_profile(
    *,
    model: str = "resnet18",
    seconds: float = 180.0,
    batch_size: int = 128,
    data: Path | None = None,
    command: str = "",
    progress: bool = True,
) -> Result:
    """Measure where the time goes, the loops in turns; the round of the median time is kept.

    Args:
        model: A name from `models.list_models()`, at its defaults.
        seconds: For all of it. Three rounds are run in any case.
        batch_size: In [2, 4096].
        data: Folder of the data; else the synthetic twin stands in, repeated to 50,000.
        command: What the user typed, kept in the provenance.
        progress: Print a line a round.

    Returns:
        `values` and `provenance`, ready for JSON and for `recording.record_study("profile", …)`.
        `values["loops"]` has, for each loop, `step` (seconds) and `groups` (seconds by group,
        with `other` for the rest), and `reorder_share`, see `reorders`.

    Raises:
        UserError: A value out of range, an unknown model, or damaged data.
    """
    require_seconds(seconds, "180")
    require_batches([batch_size], "128", flag="--batch-size")
    conditions = Conditions()
    runtime = detect(device="cpu")
    recipe = Recipe(
        name="profile",
        model=ModelConfig(name=model),
        data=DataConfig(val_size=0, augment=FLIP_CROP),
        optim=OptimConfig(peak_lr=RATE),
        batch_size=batch_size,
    )
    network(recipe, runtime)  # an unknown name shows before anything takes time
    found = full_size(load_or_synthetic("cifar10", root=data, val_size=0))
    loops = {c.key: c for c in Field(recipe, found, data, runtime).loops(ladder=True)}
    ladder = [loops[key] for key in LADDER if key in loops]
    # The profiler's library writes of each start and stop to the terminal.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    conditions.start(runtime, command=command, data_digest=found.digest)
    start = time.perf_counter()
    rounds: dict[str, list[dict[str, float]]] = {loop.key: [] for loop in ladder}
    done = 0
    try:
        for loop in ladder:
            profiled(loop)  # the first one holds the profiler's own start
        shares = {loop.key: usual_share(loop) for loop in ladder}
        while done < FEWEST_ROUNDS or (time.perf_counter() - start) * (done + 1) < seconds * done:
            for loop in ladder[:: -1 if done % 2 else 1]:
                rounds[loop.key].append(profiled(loop))
            done += 1
            if progress:
                spent = time.perf_counter() - start
                print(f"round {done}, after {spent:.0f} s", flush=True)
    finally:
        for loop in loops.values():
            loop.batches.close()
    facts, spent = conditions.finish()
    values = {
        "model": model,
        "batch_size": batch_size,
        "images": len(found.train),
        "synthetic": found.synthetic,
        "precision": runtime.precision,
        "loops": {key: summary(times, shares[key]) for key, times in rounds.items()},
        "seconds": round(spent, 1),
    }
    return {"values": values, "provenance": facts}


def usual_share(loop: Contender) -> float | None:
    """Return the median share of reorders in some steps, after two that warm up."""
    one_step(loop)
    one_step(loop)
    shares = [reorder_share(functools.partial(one_step, loop)) for _ in range(FEWEST_ROUNDS)]
    known = [share for share in shares if share is not None]
    return statistics.median(known) if known else None


def one_step(loop: Contender) -> None:
    """Fetch a batch and train on it; the profiler tells the two apart."""
    with record_function("input"):
        batch = next(loop.batches)
    loop.step(batch)


def profiled(loop: Contender) -> dict[str, float]:
    """Return seconds of one step by group, and in `step` the whole of it."""
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        began = time.perf_counter()
        one_step(loop)
        whole = time.perf_counter() - began
    return {"step": whole, **by_group(watched.events() or [])}


def by_group(events: Sequence[FunctionEvent]) -> dict[str, float]:
    """Return seconds by group of operations; what is in no group is left out."""
    found = dict.fromkeys(GROUPS, 0.0)
    for event in events:
        group = group_of(event)
        if group:
            found[group] += event.self_cpu_time_total / 1e6
    return found


def group_of(event: FunctionEvent) -> str | None:
    """Return the group of an operation: that of what it works for, or else by name."""
    chain: list[FunctionEvent] = []
    here: FunctionEvent | None = event
    while here is not None:
        chain.append(here)
        here = here.cpu_parent
    if any(e.name == "input" for e in chain):
        return "input"
    # One that isn't fused adds and multiplies, as a network does.
    if any(e.name.startswith("Optimizer.") for e in chain):
        return "optimizer"
    for e in chain:  # from the operation itself outwards
        for group, words in WORDS.items():
            if any(word in e.name for word in words):
                return group
    return None


def summary(rounds: Sequence[dict[str, float]], reorders: float | None) -> dict[str, Any]:
    """Return the round of the median time, with reorders taken out of the convolutions.

    Args:
        rounds: From `profiled`.
        reorders: Their share in what the profiler calls convolutions; None if unknown.
    """
    middle = sorted(rounds, key=lambda r: r["step"])[len(rounds) // 2]
    groups = {name: middle[name] for name in GROUPS}
    moved = (reorders or 0.0) * groups[CONVOLUTION]
    groups[CONVOLUTION] -= moved
    groups[COPIES] += moved
    groups["other"] = max(0.0, middle["step"] - sum(groups.values()))
    times = [r["step"] for r in rounds]
    return {
        "groups": {name: float(f"{value:.4g}") for name, value in groups.items()},
        "step": {
            **{"median": float(f"{middle['step']:.4g}"), "low": float(f"{min(times):.4g}")},
            **{"high": float(f"{max(times):.4g}"), "n": len(times)},
        },
        "reorder_share": None if reorders is None else round(reorders, 4),
    }
