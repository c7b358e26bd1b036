"""The training loop: epochs of steps, validation, history, checkpoints, a clean stop.

`fit` has no parameter through which the test split could reach it. Everything random is a
function of (seed, epoch, step), so a run that was killed anywhere and started again ends with
the weights of one that was not, bit for bit on the same CPU and commit.

Several processes run the same loop, each on its slice of every batch. What they must not decide
apart stands in a few places: `average_gradients`, `Stops`, `Tally` and the methods of `group`.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from tqdm import tqdm

from cifar_lessons.config import ScheduleConfig
from cifar_lessons.data.loader import TrainLoader
from cifar_lessons.data.resize import side_at
from cifar_lessons.errors import UserError
from cifar_lessons.objectives.base import Objective
from cifar_lessons.runtime import Runtime, stream_seed
from cifar_lessons.training import checkpoint as checkpoints
from cifar_lessons.training.averaging import average_gradients
from cifar_lessons.training.ema import build_ema
from cifar_lessons.training.optim import set_rates, wake
from cifar_lessons.training.schedule import rate_at
from cifar_lessons.training.step import check_finite, train_step
from cifar_lessons.training.stops import Stops
from cifar_lessons.training.tally import Tally

Row = dict[str, float]


@dataclass
class FitResult:
    """What training gave: one row an epoch, and whether all epochs are done."""

    model: nn.Module  # the averaged weights where there is an average
    history: list[Row] = field(default_factory=list)
    finished: bool = False
    stopped_by: str = ""  # "deadline", "signal" or ""
    seconds: float = 0.0  # training and validation, over all sittings
    cpu_seconds: float = 0.0
    commits: list[str] = field(default_factory=list)  # of the code of each sitting


def fit(
    model: nn.Module,
    objective: Objective,
    *,
    train: TrainLoader,
    validate: Callable[[nn.Module], Row] | None,
    optimizer: Optimizer,
    schedule: ScheduleConfig,
    peak_lr: float,
    epochs: int,
    runtime: Runtime,
    clip_norm: float | None = None,
    micro_batch: int | None = None,
    ema_decay: float | None = None,
    validate_every: int = 1,
    checkpoint: Path | str | None = None,
    identity: dict[str, Any] | None = None,
    commit: str = "",
    deadline: float | None = None,
    save_every: float = 60.0,
    on_epoch: Callable[[Row], None] | None = None,
    progress: bool = True,
) -> FitResult:
    """Train `model` and return it with its history.

    Args:
        model: On the runtime's device.
        objective: Maps (model, batch) to a loss.
        train: The training batches, or this rank's slices of them.
        validate: Called after each epoch with the model in evaluation mode; its numbers become
            columns `val_…` of the history, and must be the same on every rank. Its `loss` is what
            the plateau schedule watches. None where nothing is held out.
        optimizer: Over the model's parameters. Its rate is set anew before every step, from
            `peak_lr` and `schedule`: the one that it was made with does not count.
        schedule: How the learning rate moves below `peak_lr`.
        peak_lr: The largest learning rate.
        epochs: At least 1.
        runtime: Device, precision, and the group of processes that train together.
        clip_norm: See `train_step`.
        micro_batch: See `train_step`.
        ema_decay: See `build_ema`; None trains and evaluates the same weights.
        validate_every: Epochs between two calls of `validate`; the last epoch has one always.
        checkpoint: File to resume from and to save to; None saves nothing. Rank 0 writes it.
        identity: What the checkpoint must agree on beside epochs and rates, such as the recipe
            and the seed.
        commit: Of the code, listed in the result.
        deadline: `time.monotonic()` after which the loop saves and returns; rank 0's counts.
        save_every: Seconds between two checkpoints inside an epoch.
        on_epoch: Called with each new row of the history. What it raises ends the training
            there, as a search does with settings that look hopeless.
        progress: Show a bar on a terminal, or print a line an epoch elsewhere.

    Raises:
        UserError: The checkpoint is of another run, or cannot be read or written; or the schedule
            is plateau and there is no validation loss.
        TypeError: The objective, or `validate`, returns something else than it has to.
        LossIsNotFinite: The loss became NaN; the last checkpoint stands.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    if schedule.name == "plateau" and validate is None:
        raise UserError(
            "the plateau schedule watches the validation loss, and `validate` is None; hold "
            "images out, or take another schedule, such as one_cycle"
        )
    checkpoint = None if checkpoint is None else Path(checkpoint)
    # A rate depends on all of these, so a run can't go on with others.
    plan = {"epochs": epochs, "peak_lr": peak_lr, **asdict(schedule)}
    group, scaler = runtime.group, runtime.scaler()
    progress = progress and group.leader
    objective = average_gradients(objective, model, runtime)
    ema = build_ema(model, ema_decay)
    result = FitResult(model=ema.module if ema else model, commits=[commit] if commit else [])
    start_epoch, start_step, tally = 0, 0, Tally()

    state = checkpoints.load_furthest(checkpoint, group) if checkpoint is not None else None
    if state is not None:
        assert checkpoint is not None
        with group.together():
            checkpoints.require_same(state.get("identity", {}), identity or {}, checkpoint)
            checkpoints.require_same(state.get("plan", plan), plan, checkpoint)
            try:
                model.load_state_dict(state["model"])
                optimizer.load_state_dict(state["optimizer"])
                scaler.load_state_dict(state["scaler"])
                if ema:
                    ema.load_state_dict(state["ema"])
                start_epoch, start_step = state["epoch"], state["step"]
                tally.load(state, group)
                result.history = state["history"]
                result.seconds, result.cpu_seconds = state["seconds"], state["cpu_seconds"]
                result.commits = list(dict.fromkeys([*state["commits"], *result.commits]))
            except (RuntimeError, ValueError, KeyError, TypeError) as error:
                # PyTorch names what does not fit in its second line.
                reason = " ".join(line.strip() for line in str(error).splitlines()[:2])
                raise UserError(
                    f"{checkpoint} does not fit this network and optimizer ({reason}); delete it "
                    "to start this run afresh, or choose another folder with --out"
                ) from None
        if progress:
            print(f"resuming at epoch {start_epoch + 1}, step {start_step} ({checkpoint})")

    clock, cpu_clock = time.monotonic(), time.process_time()
    before, cpu_before = result.seconds, result.cpu_seconds

    def save(epoch: int, step: int) -> None:
        result.seconds = before + time.monotonic() - clock
        [spent] = group.total([time.process_time() - cpu_clock])
        result.cpu_seconds = cpu_before + spent
        if checkpoint is None:
            return
        state = {
            "identity": identity or {},
            "plan": plan,
            "commits": result.commits,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scaler": scaler.state_dict(),
            "ema": ema.state_dict() if ema else None,
            "epoch": epoch,
            "step": step,
            **tally.state(group),
            "history": result.history,
            "seconds": result.seconds,
            "cpu_seconds": result.cpu_seconds,
        }
        group.from_leader(lambda: checkpoints.save(checkpoint, state))

    steps = len(train)
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
            model.train()
            val_losses = [row["val_loss"] for row in result.history if "val_loss" in row]
            batches = train.epoch(epoch, skip=start_step)
            for step, batch in enumerate(batches, start=start_step):
                now = epoch * steps + step
                rate = partial(
                    rate_at,
                    schedule,
                    now,
                    peak_lr=peak_lr,
                    steps_per_epoch=steps,
                    epochs=epochs,
                    val_losses=val_losses,
                )
                # Weights at rest get no gradient, and averaging waits for every gradient.
                set_rates(optimizer, rate, rest=group.size == 1)
                batch = batch.shrink(side_at(train.data.sizes, now / (epochs * steps)))
                # Dropout draws from the global generator: seeded a step, it needs no saving. Other
                # ranks see other images and draw other masks.
                others = (group.rank,) if group.rank else ()
                torch.manual_seed(stream_seed(train.seed, "forward", now, *others))
                output = train_step(
                    model,
                    batch,
                    objective,
                    optimizer,
                    runtime=runtime,
                    scaler=scaler,
                    clip_norm=clip_norm,
                    micro_batch=micro_batch,
                )
                if ema:
                    ema.update_parameters(model)
                tally.add(output.metrics, len(batch))
                bar.update()
                pause = stops.after_step(tally.sums["loss"]) if step + 1 < steps else None
                if pause:
                    if group.size == 1:  # several have just looked together
                        check_finite(float(tally.sums["loss"]))
                    save(epoch, step + 1)
                    stops.saved()
                    if pause.stopped_by:
                        result.stopped_by = pause.stopped_by
                        return result
            start_step = 0
            means = tally.means(group)
            check_finite(means["loss"], group)
            group.share_buffers(result.model)
            row: Row = {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"]}
            row |= {f"train_{name}": value for name, value in means.items()}
            due = (epoch + 1) % validate_every == 0 or epoch + 1 == epochs
            if validate is not None and due:
                result.model.eval()
                row |= _validated(validate(result.model), schedule)
            row["seconds"] = before + time.monotonic() - clock
            result.history.append(row)
            tally = Tally()
            save(epoch + 1, 0)
            stops.saved()
            if progress:
                bar.set_postfix({k: f"{v:.3f}" for k, v in row.items() if "accuracy" in k})
                if bar.disable:
                    print(_line(row, epochs), flush=True)
            if on_epoch is not None:
                on_epoch(row)
            pause = stops.after_epoch()
            if pause.stopped_by and epoch + 1 < epochs:
                result.stopped_by = pause.stopped_by
                return result
    result.finished = True
    wake(optimizer)
    result.model.eval()
    return result


def _validated(found: Row, schedule: ScheduleConfig) -> Row:
    """Return the columns of a validation, if they are what the history and the schedule need."""
    if not isinstance(found, dict):
        raise TypeError(f"validate must return numbers by name, got a {type(found).__name__}")
    if schedule.name == "plateau" and "loss" not in found:
        raise TypeError(f"the plateau schedule watches `loss`; validate returned {list(found)}")
    return {f"val_{name}": value for name, value in found.items()}


def _line(row: Row, epochs: int) -> str:
    """Return an epoch as one line of text."""
    parts = [f"epoch {row['epoch']:.0f}/{epochs}"]
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        if name in row:
            share = name.endswith("accuracy")
            value = f"{100 * row[name]:.2f} %" if share else f"{row[name]:.4f}"
            parts.append(f"{name.replace('_', ' ')} {value}")
    return "  ".join([*parts, f"{row['seconds']:.0f} s"])
