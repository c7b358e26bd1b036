"""One process of `bench scaling`: it trains for a while, and rank 0 prints how fast it went.

`scaling` starts it, alone or with torchrun. What is timed is all that `fit` does at a step.
"""

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import tyro

from cifar_lessons import recipes
from cifar_lessons.building import new_model, num_parameters
from cifar_lessons.config import Recipe
from cifar_lessons.data.cifar import Cifar, load_or_synthetic
from cifar_lessons.data.loader import TrainLoader
from cifar_lessons.errors import UserError
from cifar_lessons.joining import joined
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.runtime import Runtime, detect, stream_seed
from cifar_lessons.training.averaging import AveragedObjective, average_gradients
from cifar_lessons.training.optim import build_optimizer, set_lr
from cifar_lessons.training.step import train_step

RATE = 1e-4  # so small that no network diverges in a short time; it moves no time
LEAD_IN = 3  # steps that are not timed: memory, kernels and buckets are set up in the first two
OWN_SHARE = 0.4  # of the time, for steps that average nothing


def measure(recipe: Recipe, data: Cifar, runtime: Runtime, seconds: float) -> dict[str, Any]:
    """Return images/s of a recipe, with gradients averaged and with each rank keeping its own.

    Args:
        recipe: Network, batch and optimizer; the batch is shared by the ranks.
        data: Its training images.
        runtime: Device, precision and group.
        seconds: For both together.

    Returns:
        `parameters`, `steps` and images/s of the whole group by rank 0's clock: `averaged`, and
        `own` where there are several ranks.
    """
    group = runtime.group
    model = new_model(recipe, seed=0, num_classes=len(data.classes), runtime=runtime).train()
    objective = average_gradients(SupervisedObjective(), model, runtime)
    optimizer, scaler = build_optimizer(model, recipe.optim), runtime.scaler()
    loader = TrainLoader(
        data.train,
        recipe.data,
        batch_size=recipe.batch_size,
        seed=0,
        device=runtime.device,
        group=group,
    )
    batches = itertools.chain.from_iterable(loader.epoch(epoch) for epoch in itertools.count())
    numbers = itertools.count()

    def steps(n: int, block: Callable[[], contextlib.AbstractContextManager[None]]) -> float:
        """Take n steps; return the seconds from when all ranks start until all are done."""
        group.total([0.0])
        start = time.perf_counter()
        for batch in itertools.islice(batches, n):
            set_lr(optimizer, RATE)
            torch.manual_seed(stream_seed(0, "forward", next(numbers)))
            with block():
                train_step(model, batch, objective, optimizer, runtime=runtime, scaler=scaler)
        runtime.synchronize()
        group.total([0.0])
        return time.perf_counter() - start

    ways: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
        "averaged": contextlib.nullcontext
    }
    if isinstance(objective, AveragedObjective):
        ways["own"] = objective.without_averaging
    found: dict[str, Any] = {"parameters": num_parameters(model)}
    for name, block in ways.items():
        share = (OWN_SHARE if name == "own" else 1 - OWN_SHARE) if len(ways) > 1 else 1.0
        a_step = steps(LEAD_IN, block) / LEAD_IN
        n = group.broadcast(max(3, round(share * seconds / a_step) - LEAD_IN))
        found[name] = float(f"{n * loader.batch_size / steps(n, block):.5g}")
        found["steps"] = found.get("steps", 0) + n
    return found


def work(
    names: tuple[str, ...],
    /,
    *,
    seconds: float,
    threads: int,
    device: str = "auto",
    data: Path | None = None,
) -> None:
    """Measure each recipe, and print everything as one line of JSON on rank 0.

    Args:
        names: Of the recipes.
        seconds: For each of them.
        threads: CPU threads of this process.
        device: See `runtime.detect`.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
    """
    torch.set_num_threads(threads)
    with joined() as group:
        runtime = detect(device=device, group=group)
        found = load_or_synthetic("cifar10", root=data)
        rates = {name: measure(recipes.get(name), found, runtime, seconds) for name in names}
        if group.leader:
            facts = {"precision": runtime.precision, "device": runtime.device.type}
            print(json.dumps({**facts, "images": len(found.train), "recipes": rates}))


if __name__ == "__main__":
    try:
        tyro.cli(work)
    except UserError as error:
        sys.exit(f"cifar-lessons: {error}")
