"""ENAS: train shared weights and a controller in turns, then take the best that it draws.

Source: Pham et al. (2018), arXiv:1802.03268, section 2.2; constants from the authors' code, see
`config.ArchitectureSearch` and `enas.arms`. Each batch trains the weights of one freshly drawn
architecture (M = 1 there). A reward is the accuracy of an architecture on one batch of the
*validation* images, with the shared weights, as in the source: the training images would reward
what remembers them. So the same images choose at the end, and what they say about the winner is
too good; its test accuracy after training alone is what counts. Test images never come near.

Departures: the controller's updates are spread over the epoch instead of following it, as many in
all, so that a short run has some too; at the end all validation images rank the candidates, where
the source takes a single batch; and rewards use the statistics of their own batch in place of
running ones (`models.enas` says why).

Everything random is a function of (seed, epoch, step), as in `fit`: a search that was stopped
anywhere goes on with the same bits.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from cifar_lessons.config import ArchitectureSearch, Recipe
from cifar_lessons.data.cifar import Cifar, Split
from cifar_lessons.data.loader import TrainLoader
from cifar_lessons.enas.controller import Chooser, Controller
from cifar_lessons.enas.policy import Reinforce
from cifar_lessons.enas.shared import new_search, shared_accuracy
from cifar_lessons.enas.space import Architecture
from cifar_lessons.enas.words import Row, line
from cifar_lessons.errors import UserError
from cifar_lessons.models.enas import SharedNetwork
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.runtime import Runtime, stream, stream_seed
from cifar_lessons.training import checkpoint as checkpoints
from cifar_lessons.training.optim import build_optimizer, set_lr
from cifar_lessons.training.schedule import rate_at
from cifar_lessons.training.step import train_step
from cifar_lessons.training.stops import Stops
from cifar_lessons.training.tally import Tally

WATCHED = 10  # networks an epoch whose accuracy the control shows; nothing depends on it


@dataclass
class Found:
    """What a search gave; `scores` and `best` are there once it has finished."""

    network: SharedNetwork
    controller: Chooser
    history: list[Row] = field(default_factory=list)  # a row an epoch
    trace: list[Row] = field(default_factory=list)  # a row an update of the controller
    scores: dict[str, float] = field(default_factory=dict)  # validation accuracy, shared weights
    candidates: list[str] = field(default_factory=list)  # those of `scores` that compete
    finished: bool = False
    stopped_by: str = ""  # "deadline", "signal" or ""
    seconds: float = 0.0  # over all sittings
    cpu_seconds: float = 0.0
    commits: list[str] = field(default_factory=list)

    @property
    def best(self) -> str:
        """Return the candidate with the highest validation accuracy; the first of equals."""
        return max(self.candidates, key=lambda a: self.scores[a])


def search(
    recipe: Recipe,
    data: Cifar,
    *,
    seed: int,
    runtime: Runtime,
    also: Sequence[Architecture] = (),
    checkpoint: Path | None = None,
    identity: dict[str, Any] | None = None,
    commit: str = "",
    deadline: float | None = None,
    save_every: float = 60.0,
    on_update: Callable[[Row], None] | None = None,
    progress: bool = True,
) -> Found:
    """Run a search, or go on with one.

    Args:
        recipe: Its objective is an `ArchitectureSearch`.
        data: The splits; test is not touched.
        seed: Of everything random.
        runtime: Device and precision, of one process.
        also: Architectures that are scored at the end besides the candidates, to compare.
        checkpoint: File to resume from and to save to; None saves nothing.
        identity: What the checkpoint must agree on.
        commit: Of the code, listed in the result.
        deadline: `time.monotonic()` after which the search saves and returns.
        save_every: Seconds between two checkpoints.
        on_update: Called with each row of the trace.
        progress: Show a bar on a terminal, or print a line an epoch elsewhere.

    Raises:
        UserError: The checkpoint is of another search; there are no validation images; it is no
            search at all.
        LossIsNotFinite: The shared weights diverged; the last checkpoint stands.
    """
    config = recipe.objective
    if not isinstance(config, ArchitectureSearch):
        raise UserError(
            f"{recipe.name} trains a network, it does not search for one; try "
            f"`cifar-lessons train {recipe.name}`, or `cifar-lessons search enas_search`"
        )
    if not len(data.val):
        raise UserError(
            "a search needs validation images, got data.val_size 0; try --set data.val_size=5000"
        )
    network, chooser = new_search(recipe, seed=seed, num_classes=len(data.classes), runtime=runtime)
    loader = TrainLoader(
        data.train, recipe.data, batch_size=recipe.batch_size, seed=seed, device=runtime.device
    )
    optimizer, objective = build_optimizer(network, recipe.optim), SupervisedObjective()
    policy = Reinforce(chooser, config) if isinstance(chooser, Controller) else None
    found = Found(network, chooser, commits=[commit] if commit else [])
    scaler, tally = runtime.scaler(), Tally()
    start_epoch, start_step = 0, 0
    group = runtime.group

    if checkpoint is not None and checkpoint.exists():
        state = checkpoints.load(checkpoint)
        checkpoints.require_same(state.get("identity", {}), identity or {}, checkpoint)
        try:
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            scaler.load_state_dict(state["scaler"])
            if policy:
                policy.load(state["policy"])
            start_epoch, start_step = state["epoch"], state["step"]
            tally.load(state["tally"], group)
            for name in ("history", "trace", "scores", "seconds", "cpu_seconds"):
                setattr(found, name, state[name])
            found.commits = list(dict.fromkeys([*state["commits"], *found.commits]))
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"{checkpoint} does not fit today's code ({reason}); delete it to start this "
                "search afresh, or choose another folder with --out"
            ) from None
        if progress:
            print(f"resuming at epoch {start_epoch + 1}, step {start_step} ({checkpoint})")

    clock, cpu_clock = time.monotonic(), time.process_time()
    before, cpu_before = found.seconds, found.cpu_seconds

    def save(epoch: int, step: int) -> None:
        found.seconds = before + time.monotonic() - clock
        found.cpu_seconds = cpu_before + time.process_time() - cpu_clock
        if checkpoint is None:
            return
        state = {
            "identity": identity or {},
            "commits": found.commits,
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scaler": scaler.state_dict(),
            "policy": policy.state() if policy else None,
            "epoch": epoch,
            "step": step,
            "tally": tally.state(group),
            **{n: getattr(found, n) for n in ("history", "trace", "scores")},
            **{n: getattr(found, n) for n in ("seconds", "cpu_seconds")},
        }
        checkpoints.save(checkpoint, state)

    def reward(architecture: Architecture, rng: torch.Generator) -> float:
        which = torch.randperm(len(data.val), generator=rng)[: recipe.batch_size]
        batch = Split(data.val.images[which], data.val.labels[which], data.val.index[which])
        return shared_accuracy(network, architecture, batch, recipe, runtime)

    def update(number: int) -> Row:
        rng = stream(seed, "policy", number)
        if policy:
            return policy.update(lambda a: reward(a, rng), rng)
        sample = chooser.sample(1, rng)
        return {"reward": reward(sample.architectures[0], rng), **sample.summary()}

    def updates_until(step: int) -> int:
        """Return how many updates of an epoch are done after so many of its steps."""
        every = config.updates_per_epoch if policy else min(WATCHED, config.updates_per_epoch)
        return every * step // len(loader)

    steps, epochs = len(loader), recipe.epochs
    bar = tqdm(
        total=epochs * steps,
        initial=start_epoch * steps + start_step,
        unit="step",
        dynamic_ncols=True,
        disable=not (progress and sys.stderr.isatty()),
    )
    with checkpoints.stop_on_signal() as request, bar:
        stops = Stops(request, group=group, deadline=deadline, save_every=save_every)
        for epoch in range(start_epoch, epochs):
            for step, batch in enumerate(loader.epoch(epoch, skip=start_step), start=start_step):
                now = epoch * steps + step
                rate = rate_at(
                    recipe.optim.schedule,
                    now,
                    peak_lr=recipe.optim.peak_lr,
                    steps_per_epoch=steps,
                    epochs=epochs,
                )
                set_lr(optimizer, rate)
                with torch.no_grad():
                    drawn = chooser.sample(1, stream(seed, "architecture", now))
                network.choose(drawn.architectures[0])
                if not network.training:
                    network.train()
                torch.manual_seed(stream_seed(seed, "forward", now))
                output = train_step(
                    network,
                    batch,
                    objective,
                    optimizer,
                    runtime=runtime,
                    scaler=scaler,
                    clip_norm=recipe.optim.clip_norm,
                )
                tally.add(output.metrics, len(batch))
                for _ in range(updates_until(step + 1) - updates_until(step)):
                    number = len(found.trace)
                    row = {"update": number + 1.0, "epoch": epoch + 1.0, **update(number)}
                    found.trace.append(row)
                    if on_update is not None:
                        on_update(row)
                bar.update()
                pause = stops.after_step(tally.sums["loss"]) if step + 1 < steps else None
                if pause:
                    save(epoch, step + 1)
                    stops.saved()
                    if pause.stopped_by:
                        found.stopped_by = pause.stopped_by
                        return found
            start_step = 0
            found.history.append(
                {
                    "epoch": epoch + 1,
                    "lr": optimizer.param_groups[0]["lr"],
                    **{f"train_{name}": value for name, value in tally.means(group).items()},
                    **_means([row for row in found.trace if row["epoch"] == epoch + 1]),
                    "seconds": before + time.monotonic() - clock,
                }
            )
            tally = Tally()
            save(epoch + 1, 0)
            stops.saved()
            if progress and bar.disable:
                print(line(found.history[-1], epochs), flush=True)
            pause = stops.after_epoch()
            if pause.stopped_by:
                found.stopped_by = pause.stopped_by
                return found
        with torch.no_grad():
            rng = stream(seed, "policy", 2**31)  # no update has that number
            drawn = chooser.sample(config.candidates, rng)
        found.candidates = list(dict.fromkeys(map(str, drawn.architectures)))
        for architecture in [*drawn.architectures, *also]:
            if str(architecture) in found.scores:
                continue
            score = shared_accuracy(network, architecture, data.val, recipe, runtime)
            found.scores[str(architecture)] = score
            pause = stops.after_step(0.0)
            if pause and (pause.stopped_by or checkpoint):
                save(epochs, 0)
                stops.saved()
                if pause.stopped_by:
                    found.stopped_by = pause.stopped_by
                    return found
    save(epochs, 0)
    found.finished = True
    return found


def _means(rows: Sequence[Row]) -> Row:
    """Return the mean of each column, but for those that count."""
    names = [name for name in (rows[0] if rows else {}) if name not in ("update", "epoch")]
    return {name: sum(row[name] for row in rows) / len(rows) for name in names}
