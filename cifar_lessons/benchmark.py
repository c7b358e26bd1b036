"""How fast our training loop is, beside the plain loop that tutorials use.

Target on two idle cores: 2.6 times its images/s for ResNet-18 (stretch: 3.3), and 20 times for
the input pipeline alone. See `interleave` for how it is timed, `plain_loop` for the opponent.
"""

import itertools
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL
import torch
from torch import nn

from cifar_lessons.building import new_model
from cifar_lessons.config import DataConfig, ModelConfig, OptimConfig, Recipe
from cifar_lessons.data.cifar import Cifar, load_or_synthetic
from cifar_lessons.data.loader import Batch, TrainLoader
from cifar_lessons.errors import UserError
from cifar_lessons.interleave import Contender, take_turns
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.plain_loop import (
    WORKERS,
    Pairs,
    endless,
    plain_dataset,
    plain_loader,
    plain_step,
)
from cifar_lessons.recipes import FLIP_CROP
from cifar_lessons.runtime import Runtime, detect, layout, stream_seed
from cifar_lessons.speed.conditions import Conditions
from cifar_lessons.throughput import Result, compare, format_result
from cifar_lessons.training.optim import build_optimizer, set_lr
from cifar_lessons.training.step import train_step

__all__ = ["bench_train", "format_result"]

RATE = 0.001  # the tutorial's; so small that no loop diverges, and it moves no time
PIPELINE_SHARE = 0.15  # of the time: batches alone come much faster than training steps


def bench_train(
    *,
    model: str = "resnet18",
    seconds: float = 270.0,
    data: Path | None = None,
    ladder: bool = False,
    batch_size: int = 128,
    device: str = "auto",
    command: str = "",
    progress: bool = True,
) -> Result:
    """Measure our loop against the plain one at 0, 1 and 2 workers, and both pipelines alone.

    Nothing fails for being slow: the result says what was found. This has never run on an
    accelerator in this project.

    Args:
        model: A name from `models.list_models()`, at its defaults.
        seconds: For all measurements, loading the data excluded. Three rounds are run in any
            case.
        data: Folder of the data. Where the real images are not there, the synthetic twin
            stands in, repeated to 50,000: the time of a step does not depend on pixels.
        ladder: Also measure the steps between the two loops: batches from memory, channels_last.
        batch_size: Of all loops; the targets are for 128.
        device: See `runtime.detect`.
        command: What the user typed, kept in the provenance.
        progress: Print a line a round.

    Returns:
        `values` and `provenance`, for JSON and `recording.record_study("bench_train", …)`.

    Raises:
        UserError: A value out of range, an unknown model, or damaged data.
    """
    if not 0 < seconds <= 86_400:
        raise UserError(f"--seconds must be in (0, 86400], got {seconds:g}; try --seconds 270")
    conditions = Conditions()
    runtime = detect(device=device)
    recipe = Recipe(
        name="bench_train",
        model=ModelConfig(name=model),
        data=DataConfig(val_size=0, augment=FLIP_CROP),
        optim=OptimConfig(peak_lr=RATE),
        batch_size=batch_size,
    )
    network(recipe, runtime)  # an unknown name shows before anything takes time
    found = full_size(load_or_synthetic("cifar10", root=data, val_size=0))
    field = Field(recipe, found, data, runtime)

    def say(line: str) -> None:
        if progress:
            print(line, flush=True)

    conditions.start(runtime, command=command, data_digest=found.digest)
    share = PIPELINE_SHARE * seconds
    say(f"training {model}: three rounds or more")
    train = take_turns(field.loops(ladder), seconds=seconds - share, say=say)
    say("input pipelines alone")
    pipeline = take_turns(field.pipelines(), seconds=share, say=say)
    facts, spent = conditions.finish()
    facts["packages"]["pillow"] = PIL.__version__
    values = {
        "model": model,
        "batch_size": recipe.batch_size,
        "images": len(found.train),
        "synthetic": found.synthetic,
        "precision": runtime.precision,
        "seconds": round(spent, 1),
        "train": train,
        "pipeline": pipeline,
        "end_to_end": compare(train),
        "pipeline_alone": compare(pipeline),
    }
    return {"values": values, "provenance": facts}


def full_size(data: Cifar) -> Cifar:
    """Return the twin repeated to 50,000 images: caches and epochs are then as with real ones."""
    if not data.synthetic:
        return data
    return replace(data, train=data.train[torch.arange(50_000) % len(data.train)])


def network(
    recipe: Recipe, runtime: Runtime, order: torch.memory_format = torch.channels_last
) -> nn.Module:
    """Return the recipe's network in a layout, with the same first weights each time."""
    model = new_model(recipe, seed=0, num_classes=10, runtime=runtime)
    return model.to(memory_format=order).train()


class Field:
    """All that compete in one run, over the same data."""

    def __init__(self, recipe: Recipe, data: Cifar, folder: Path | None, runtime: Runtime) -> None:
        """Hold the data for both sides.

        Args:
            recipe: Network, augmentation and batch size.
            data: What is trained on; see `full_size`.
            folder: Of the official files, for torchvision's own data set.
            runtime: Device and precision.
        """
        self.recipe, self.runtime = recipe, runtime
        self.plain_data = plain_dataset(data, folder)
        self.loader = TrainLoader(
            data.train, recipe.data, batch_size=recipe.batch_size, seed=0, device=runtime.device
        )

    def loops(self, ladder: bool) -> list[Contender]:
        """Return the training loops; the ladder's steps come last."""
        net = network(self.recipe, self.runtime, torch.contiguous_format)
        optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9)

        def plain(data: Pairs) -> int:
            plain_step(net, data, optimizer, self.runtime.device)
            return len(data[1])

        ours = layout(self.runtime.device)
        loops = [self._our_loop("ours", ours, self.runtime), *self._plain(plain)]
        if ladder:
            exact = replace(self.runtime, precision="fp32")
            loops.append(self._our_loop("memory", torch.contiguous_format, exact))
            if self.runtime.precision != "fp32":
                loops.append(self._our_loop("channels_last", ours, exact))
        return loops

    def pipelines(self) -> list[Contender]:
        """Return the input pipelines, without a network."""

        def plain(data: Pairs) -> int:
            return len(data[0].to(self.runtime.device))

        return [self._contender("ours", self._batches(), len), *self._plain(plain)]

    def _batches(self) -> Generator[Batch, None, None]:
        """Yield our batches, epoch after epoch."""
        for epoch in itertools.count():
            yield from self.loader.epoch(epoch)

    def _plain(self, step: Callable[[Pairs], int]) -> list[Contender]:
        """Return the plain loop at each number of workers."""
        found = []
        for workers in WORKERS:
            loader = plain_loader(
                self.plain_data, batch_size=self.recipe.batch_size, workers=workers
            )
            queued = workers * (loader.prefetch_factor or 0)
            found.append(self._contender(f"plain_{workers}", endless(loader), step, queued))
        return found

    def _our_loop(self, key: str, order: torch.memory_format, runtime: Runtime) -> Contender:
        """Return our loop: all that `fit` does at a step."""
        model, objective = network(self.recipe, runtime, order), SupervisedObjective()
        optimizer, scaler = build_optimizer(model, self.recipe.optim), runtime.scaler()
        steps = itertools.count()

        def step(batch: Batch) -> int:
            set_lr(optimizer, RATE)
            torch.manual_seed(stream_seed(0, "forward", next(steps)))
            batch = replace(batch, images=batch.images.contiguous(memory_format=order))
            train_step(model, batch, objective, optimizer, runtime=runtime, scaler=scaler)
            return len(batch)

        return self._contender(key, self._batches(), step)

    def _contender(
        self,
        key: str,
        batches: Generator[Any, None, None],
        step: Callable[[Any], int],
        queued: int = 0,
    ) -> Contender:
        wait = self.runtime.synchronize
        return Contender(key=key, batches=batches, step=step, synchronize=wait, queued=queued)
