"""`bench speedrun`: how long `speednet` and its kin take beside the run that they are to beat.

Both are measured in one run, stage by stage in turns, so that whatever slows the machine slows
both; `projection` turns the rates into minutes of whole runs. It says nothing about accuracy,
which the recorded runs do.
"""

import itertools
import json
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cifar_lessons import recipes
from cifar_lessons.benchmark import full_size
from cifar_lessons.building import new_model
from cifar_lessons.config import Recipe
from cifar_lessons.data.cifar import Cifar, Split, load_or_synthetic
from cifar_lessons.data.loader import Batch, TrainLoader
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.evaluation.tta import predict_views
from cifar_lessons.experiment import objective_of
from cifar_lessons.fields import to_dict
from cifar_lessons.interleave import Contender, take_turns
from cifar_lessons.runtime import Runtime, detect
from cifar_lessons.speed.conditions import Conditions
from cifar_lessons.speed.projection import Stage, compare, pace, stages
from cifar_lessons.speed.wrong import require_seconds
from cifar_lessons.speedruns import ALL_IDEAS, REFERENCE, TARGETS, WITHOUT
from cifar_lessons.training.optim import build_optimizer, set_rates
from cifar_lessons.training.step import train_step

RUNS = (REFERENCE, *reversed(TARGETS))
WITHOUT_IDEAS = (ALL_IDEAS, *WITHOUT.values())
RATE = 1e-4  # of the peak rate of each group: nothing diverges, and no step is faster for it
SCORED = 1_000  # test images a block scores at once


def bench_speedrun(
    *,
    names: Sequence[str] = RUNS,
    seconds: float = 600.0,
    data: Path | None = None,
    device: str = "auto",
    command: str = "",
    progress: bool = True,
) -> dict[str, Any]:
    """Measure every stage of the recipes in turns, and the scoring of the test images.

    This has never run on an accelerator in this project.

    Args:
        names: Recipes; the first is the one that the others are compared with. Those that differ
            only in their number of epochs are measured once.
        seconds: For all measurements; three rounds are run in any case.
        data: Folder of the data; where it is not there, the synthetic twin stands in.
        device: See `runtime.detect`.
        command: What the user typed, kept in the provenance.
        progress: Print a line a round.

    Returns:
        `values` and `provenance`, ready for `recording.record_study("bench_speedrun", …)`.

    Raises:
        UserError: A value out of range, or an unknown recipe.
    """
    require_seconds(seconds, "600")
    chosen = [recipes.get(name) for name in names]
    conditions = Conditions()
    runtime = detect(device=device)
    found = full_size(load_or_synthetic("cifar10", root=data, val_size=0))

    def say(line: str) -> None:
        if progress:
            print(line, flush=True)

    field: list[Contender] = []
    measured: dict[str, str] = {}  # by pace: the recipe under whose name it is measured
    for recipe in chosen:
        if measured.setdefault(_key(recipe), recipe.name) != recipe.name:
            continue
        loader = TrainLoader(
            found.train, recipe.data, batch_size=recipe.batch_size, seed=0, device=runtime.device
        )
        field += [_trainer(recipe, stage, loader, runtime) for stage in stages(recipe)]
        field.append(_scorer(recipe, found, runtime))
    conditions.start(runtime, command=command, data_digest=found.digest)
    rates = take_turns(field, seconds=seconds, say=say)
    facts, spent = conditions.finish()
    blocks: dict[str, dict[str, list[float]]] = {}
    for key, values in rates.items():
        name, _, stage = key.partition(" ")
        blocks.setdefault(name, {})[stage] = values
    by_name = {recipe.name: blocks[measured[_key(recipe)]] for recipe in chosen}
    return {
        "values": {
            "synthetic": found.synthetic,
            "seconds": round(spent, 1),
            "rates": blocks,
            "runs": compare(by_name, chosen),
        },
        "provenance": facts,
    }


def _key(recipe: Recipe) -> str:
    return json.dumps(to_dict(pace(recipe)), sort_keys=True)


def _trainer(recipe: Recipe, stage: Stage, loader: TrainLoader, runtime: Runtime) -> Contender:
    """Return the recipe's training loop as it is in a stage."""
    model = new_model(recipe, seed=0, num_classes=10, runtime=runtime).train()
    optimizer, scaler = build_optimizer(model, recipe.optim), runtime.scaler()
    objective = objective_of(recipe)
    rate = recipe.optim.peak_lr * RATE

    def step(batch: Batch) -> int:
        set_rates(optimizer, lambda until: rate if stage.stem_learns or until == 1.0 else 0.0)
        train_step(
            model,
            batch.shrink(stage.side),
            objective,
            optimizer,
            runtime=runtime,
            scaler=scaler,
            micro_batch=recipe.micro_batch,
        )
        return len(batch)

    batches = (batch for epoch in itertools.count() for batch in loader.epoch(epoch))
    return Contender(
        key=f"{recipe.name} {stage.key}",
        batches=batches,
        step=step,
        synchronize=runtime.synchronize,
    )


def _scorer(recipe: Recipe, data: Cifar, runtime: Runtime) -> Contender:
    """Return the scoring of test images as `experiment.run` does it, in float32."""
    model = new_model(recipe, seed=0, num_classes=10, runtime=runtime)
    exact = replace(runtime, precision="fp32")

    def parts() -> Generator[Split, None, None]:
        for start in itertools.cycle(range(0, max(1, len(data.test) - SCORED + 1), SCORED)):
            yield data.test[slice(start, start + SCORED)]

    def step(part: Split) -> int:
        plain = predict(model, part, recipe.data, runtime=exact)
        if recipe.views:
            predict_views(plain, model, part, recipe.data, views=recipe.views, runtime=exact)
        return len(part)

    return Contender(
        key=f"{recipe.name} score", batches=parts(), step=step, synchronize=runtime.synchronize
    )
