"""The training loop: epochs of steps, validation, history, checkpoints, a clean stop.

`fit` has no parameter through which the test split could reach it. Everything random is a
function of (seed, epoch, step), so a run that was killed anywhere and started again ends with
the weights of one that was not, bit for bit on the same CPU and commit.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from cifar_lessons.config import ScheduleConfig
from cifar_lessons.data.loader import TrainLoader
from cifar_lessons.data.resize import side_at
from cifar_lessons.errors import UserError
from cifar_lessons.objectives.base import Objective
from cifar_lessons.runtime import Runtime, stream_seed
from cifar_lessons.training import checkpoint as checkpoints
from cifar_lessons.training.ema import build_ema
from cifar_lessons.training.optim import set_rates, wake
from cifar_lessons.training.schedule import rate_at
from cifar_lessons.training.step import check_finite, train_step

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
    checkpoint: Path | None = None,
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
        train: The training batches.
        validate: Called after each epoch with the model in evaluation mode; its numbers become
            columns `val_…` of the history. None where nothing is held out.
        optimizer: Over the model's parameters.
        schedule: How the learning rate moves below `peak_lr`.
        peak_lr: The largest learning rate.
        epochs: At least 1.
        runtime: Device and precision.
        clip_norm: See `train_step`.
        micro_batch: See `train_step`.
        ema_decay: See `build_ema`; None trains and evaluates the same weights.
        checkpoint: File to resume from and to save to; None saves nothing.
        identity: What the checkpoint must agree on, such as the recipe and the seed.
        commit: Of the code, listed in the result.
        deadline: `time.monotonic()` after which the loop saves and returns.
        save_every: Seconds between two checkpoints inside an epoch.
        on_epoch: Called with each new row of the history. What it raises ends the training
            there, as a search does with settings that look hopeless.
        progress: Show a bar on a terminal, or print a line an epoch elsewhere.

    Raises:
        UserError: The checkpoint is of another run, or cannot be read or written.
        LossIsNotFinite: The loss became NaN; the last checkpoint stands.
    """
    scaler = runtime.scaler()
    ema = build_ema(model, ema_decay)
    result = FitResult(model=ema.module if ema else model, commits=[commit] if commit else [])
    start_epoch, start_step, images_seen = 0, 0, 0
    sums: dict[str, Tensor | float] = {}  # of this epoch; tensors, so that no step waits for one

    if checkpoint is not None and checkpoint.exists():
        state = checkpoints.load(checkpoint)
        _require_same(state.get("identity", {}), identity or {}, checkpoint)
        try:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            scaler.load_state_dict(state["scaler"])
            if ema:
                ema.load_state_dict(state["ema"])
            start_epoch, start_step = state["epoch"], state["step"]
            sums, images_seen = state["sums"], state["images_seen"]
            result.history = state["history"]
            result.seconds, result.cpu_seconds = state["seconds"], state["cpu_seconds"]
            result.commits = list(dict.fromkeys([*state["commits"], *result.commits]))
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"{checkpoint} does not fit today's code ({reason}); delete it to start this run "
                "afresh, or choose another folder with --out"
            ) from None
        if progress:
            print(f"resuming at epoch {start_epoch + 1}, step {start_step} ({checkpoint})")

    clock, cpu_clock = time.monotonic(), time.process_time()
    before, cpu_before = result.seconds, result.cpu_seconds

    def save(epoch: int, step: int) -> None:
        result.seconds = before + time.monotonic() - clock
        result.cpu_seconds = cpu_before + time.process_time() - cpu_clock
        if checkpoint is None:
            return
        checkpoints.save(
            checkpoint,
            {
                "identity": identity or {},
                "commits": result.commits,
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "scaler": scaler.state_dict(),
                "ema": ema.state_dict() if ema else None,
                "epoch": epoch,
                "step": step,
                "sums": sums,
                "images_seen": images_seen,
                "history": result.history,
                "seconds": result.seconds,
                "cpu_seconds": result.cpu_seconds,
            },
        )

    steps = len(train)
    bar = tqdm(
        total=epochs * steps,
        initial=start_epoch * steps + start_step,
        unit="step",
        dynamic_ncols=True,
        disable=not (progress and sys.stderr.isatty()),
    )
    with checkpoints.stop_on_signal() as stop, bar:
        saved_at = time.monotonic()
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
                set_rates(optimizer, rate)
                batch = batch.shrink(side_at(train.data.sizes, now / (epochs * steps)))
                # Dropout draws from the global generator: seeded a step, it needs no saving.
                torch.manual_seed(stream_seed(train.seed, "forward", now))
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
                for name, value in output.metrics.items():
                    sums[name] = sums.get(name, 0.0) + value.float() * len(batch)
                images_seen += len(batch)
                bar.update()
                late = deadline is not None and time.monotonic() > deadline
                last = step + 1 == steps
                if not last and (stop or late or time.monotonic() - saved_at > save_every):
                    sums = {name: float(value) for name, value in sums.items()}
                    save(epoch, step + 1)
                    saved_at = time.monotonic()
                    if stop or late:
                        result.stopped_by = "signal" if stop else "deadline"
                        return result
            start_step = 0
            means = {name: float(value) / images_seen for name, value in sums.items()}
            check_finite(means["loss"])
            row: Row = {"epoch": epoch + 1, "lr": optimizer.param_groups[0]["lr"]}
            row |= {f"train_{name}": value for name, value in means.items()}
            if validate is not None:
                result.model.eval()
                row |= {f"val_{name}": value for name, value in validate(result.model).items()}
            row["seconds"] = before + time.monotonic() - clock
            result.history.append(row)
            sums, images_seen = {}, 0
            save(epoch + 1, 0)
            saved_at = time.monotonic()
            if progress:
                bar.set_postfix({k: f"{v:.3f}" for k, v in row.items() if "accuracy" in k})
                if bar.disable:
                    print(_line(row, epochs), flush=True)
            if on_epoch is not None:
                on_epoch(row)
            late = deadline is not None and time.monotonic() > deadline
            if (stop or late) and epoch + 1 < epochs:
                result.stopped_by = "signal" if stop else "deadline"
                return result
    result.finished = True
    wake(optimizer)
    result.model.eval()
    return result


def _line(row: Row, epochs: int) -> str:
    """Return an epoch as one line of text."""
    parts = [f"epoch {row['epoch']:.0f}/{epochs}"]
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        if name in row:
            share = name.endswith("accuracy")
            value = f"{100 * row[name]:.2f} %" if share else f"{row[name]:.4f}"
            parts.append(f"{name.replace('_', ' ')} {value}")
    return "  ".join([*parts, f"{row['seconds']:.0f} s"])


def _require_same(saved: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    """Raise unless the checkpoint is of this very run."""
    # Both sides' keys: a model option that was set then and is not set now differs too.
    for key in dict.fromkeys([*now, *saved]):
        then, today = saved.get(key, {}), now.get(key, {})  # {} is a table without options
        if then != today:
            was, is_ = ("not set" if value == {} else repr(value) for value in (then, today))
            raise UserError(
                f"{path} is of another run ({key}: saved {was}, now {is_}); delete it, or choose "
                "another folder with --out"
            )
