"""`fit` in several processes: it ends as one process would, and as if nothing had happened."""

import math
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cifar_lessons.config import AugmentConfig, DataConfig, OptimConfig
from cifar_lessons.data.cifar import Cifar, synthetic
from cifar_lessons.data.loader import TrainLoader
from cifar_lessons.distributed import Group
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import accuracy, negative_log_likelihood
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.joining import joined
from cifar_lessons.objectives.base import StepOutput
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.runtime import Runtime
from cifar_lessons.training import checkpoint
from cifar_lessons.training.fit import FitResult, fit
from cifar_lessons.training.optim import build_optimizer
from cifar_lessons.training.step import LossIsNotFinite

CONFIG = DataConfig(augment=AugmentConfig(flip="random", crop_padding=4, cutout=8))
OPTIM = OptimConfig(peak_lr=0.05, clip_norm=0.5)
STEPS, EPOCHS, BATCH = 4, 3, 12


def made_up() -> Cifar:
    return synthetic(num_train=68, num_test=20, val_size=17)  # 51 to train on: 4 batches and a rest


def network(norm: bool) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 8 * 8, 10)]
    if norm:  # statistics and masks of its own on every rank
        layers[1:1] = [nn.BatchNorm2d(4)]
        layers[4:4] = [nn.Dropout(0.5)]
    return nn.Sequential(*layers)


def outcome(result: FitResult, steps: int) -> SimpleNamespace:
    """What a rank ends with, ready to travel."""
    return SimpleNamespace(
        weights={name: weight.numpy() for name, weight in result.model.state_dict().items()},
        history=[{k: v for k, v in row.items() if k != "seconds"} for row in result.history],
        finished=result.finished,
        stopped_by=result.stopped_by,
        steps=steps,
    )


def trial(group: Group, *, norm: bool, each_step: Any = None, **changes: Any) -> SimpleNamespace:
    """Call `fit` on this rank.

    `each_step(n)` is called in the n-th step of this call, from 1; a number that it returns is
    multiplied to the loss.
    """
    data, model, steps = made_up(), network(norm), 0
    runtime = Runtime(device=torch.device("cpu"), precision="fp32", group=group)

    def validate(model: nn.Module) -> dict[str, float]:
        found = predict(model, data.val, CONFIG, runtime=runtime, batch_size=5)
        return {"loss": negative_log_likelihood(found), "accuracy": accuracy(found)}

    def objective(model: nn.Module, batch: Any) -> StepOutput:
        nonlocal steps
        steps += 1
        factor = each_step(steps) if each_step else None
        output = SupervisedObjective()(model, batch)
        if factor is None:
            return output
        metrics = {name: value * factor for name, value in output.metrics.items()}
        return StepOutput(output.loss * factor, metrics)

    options: dict[str, Any] = {
        "train": TrainLoader(data.train, CONFIG, batch_size=BATCH, seed=5, group=group),
        "validate": validate,
        "optimizer": build_optimizer(model, OPTIM),
        "schedule": OPTIM.schedule,
        "peak_lr": OPTIM.peak_lr,
        "epochs": EPOCHS,
        "runtime": runtime,
        "clip_norm": OPTIM.clip_norm,
        "ema_decay": 0.8,
        "progress": False,
    }
    result = fit(model, objective, **{**options, **changes})
    return outcome(result, steps)


def whole(norm: bool) -> SimpleNamespace:
    with joined(60) as group:
        return trial(group, norm=norm)


# --- the same as one process ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3])
def test_without_batch_norm_ranks_end_with_the_weights_of_one_process(ranks, size):
    """To 1e-5 after 12 steps in fp32: sums are rounded in another order, nothing else differs."""
    alone, together = whole(False), ranks.values(whole, False, size=size)
    for rank in together:
        assert rank.finished
        for name, weight in rank.weights.items():
            np.testing.assert_allclose(weight, alone.weights[name], rtol=0, atol=1e-5)
            np.testing.assert_array_equal(weight, together[0].weights[name])
        assert rank.history == together[0].history
        for ours, theirs in zip(rank.history, alone.history, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)
            assert ours["train_accuracy"] == pytest.approx(theirs["train_accuracy"], abs=1e-9)
            assert ours["val_accuracy"] == theirs["val_accuracy"]


# --- stopped, and continued -----------------------------------------------------------------------


def in_sittings(folder: str) -> list[SimpleNamespace]:
    """One step a sitting, by a deadline that has passed; then all in one go for comparison."""
    found = []
    with joined(60) as group:
        while not (found and found[-1].finished):
            # Rank 1 would rather never stop; rank 0's clock counts.
            deadline = time.monotonic() - 1 if group.leader else None
            path = Path(folder) / f"rank{group.rank}" / "c.pt"  # machines with a disk each
            found.append(trial(group, norm=True, checkpoint=path, deadline=deadline))
        return [*found, trial(group, norm=True)]


def test_a_run_that_is_stopped_after_every_step_ends_as_an_undisturbed_one(ranks, tmp_path):
    """With batch norm, dropout, averaged weights and clipping: equal bits, history included."""
    first, second = ranks.values(in_sittings, str(tmp_path))
    for rank in (first, second):
        *cut, last, undisturbed = rank
        assert [part.stopped_by for part in cut] == ["deadline"] * (STEPS * EPOCHS - 1)
        assert [part.steps for part in (*cut, last)] == [1] * (STEPS * EPOCHS)
        assert last.history == undisturbed.history == first[-1].history
        for name, weight in last.weights.items():
            np.testing.assert_array_equal(weight, undisturbed.weights[name])
            np.testing.assert_array_equal(weight, first[-1].weights[name])
    assert [p.name for p in tmp_path.rglob("c.pt")] == ["c.pt"]  # only rank 0 wrote


def signalled(path: str) -> tuple[SimpleNamespace, SimpleNamespace, SimpleNamespace]:
    with joined(60) as group:

        def each_step(step: int) -> None:
            if step == 2 and group.rank == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)

        # Meetings twice a second would come too late for so short a run: it is to save often.
        options = {"norm": True, "checkpoint": Path(path), "save_every": 0.0}
        cut = trial(group, each_step=each_step, **options)
        return cut, trial(group, **options), trial(group, norm=True)


def test_a_signal_to_one_rank_stops_all_cleanly(ranks, tmp_path):
    for cut, resumed, undisturbed in ranks.values(signalled, str(tmp_path / "c.pt")):
        assert (cut.finished, cut.stopped_by, cut.steps) == (False, "signal", 2)
        assert (resumed.finished, resumed.steps) == (True, STEPS * EPOCHS - 2)
        assert resumed.history == undisturbed.history
        for name, weight in resumed.weights.items():
            np.testing.assert_array_equal(weight, undisturbed.weights[name])


def where_the_file_is(folder: str) -> tuple[int, str]:
    """A run is cut; after the restart another rank is rank 0, on a machine without the file."""
    with joined(60) as group:
        here = Path(folder) / f"machine{group.rank}" / "c.pt"
        after = Path(folder) / f"machine{1 - group.rank}" / "c.pt"
        trial(group, norm=True, checkpoint=here, deadline=time.monotonic() - 1)
        rest = trial(group, norm=True, checkpoint=after, identity={})
        try:
            trial(group, norm=True, checkpoint=after, identity={"seed": 1})
        except UserError as error:
            return rest.steps, str(error)
        return rest.steps, ""


def test_the_checkpoint_is_found_on_whichever_machine_it_lies(ranks, tmp_path):
    first, second = ranks.values(where_the_file_is, str(tmp_path))
    assert first[0] == second[0] == STEPS * EPOCHS - 1
    assert "c.pt is of another run (seed: saved not set, now 1); delete it" in first[1]
    # Each machine names its own file: the texts differ, and the one of rank 0 is told.
    assert second[1].startswith("rank 0: ")


# --- what one rank draws, and what one rank loses -------------------------------------------------


def masks() -> list[float]:
    """The first random number of each step of an epoch, as dropout would draw it."""
    with joined(60) as group:
        drawn: list[float] = []
        trial(group, norm=False, epochs=1, each_step=lambda _: drawn.append(torch.rand(()).item()))
        return drawn


def test_each_rank_draws_its_own_dropout_and_rank_0_that_of_one_process(ranks):
    first, second, third = ranks.values(masks, size=3)
    assert first == masks()
    assert len({*first, *second, *third}) == 3 * STEPS


def diverging(path: str) -> str:
    with joined(60) as group:

        def poison(step: int) -> float:
            return math.nan if group.rank == 1 and step == STEPS + 2 else 1.0

        try:
            trial(group, norm=True, each_step=poison, checkpoint=Path(path), validate=None)
        except (LossIsNotFinite, UserError) as error:
            return f"{type(error).__name__}: {error}"
        return "finished"


def test_nan_on_one_rank_stops_all_and_the_last_checkpoint_stands(ranks, tmp_path):
    first, second = ranks.values(diverging, str(tmp_path / "c.pt"))
    assert first.startswith("LossIsNotFinite: the loss became nan: try a lower rate")
    assert second.startswith("AlreadyTold: the loss became nan")
    state = checkpoint.load(tmp_path / "c.pt")
    assert (state["epoch"], state["step"]) == (1, 0)
    assert all(torch.isfinite(weights).all() for weights in state["model"].values())
