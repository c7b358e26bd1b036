"""Mirrors cifar_lessons/training/averaging.py: ranks step as one process with the whole batch."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cifar_lessons.data.loader import Batch
from cifar_lessons.joining import joined
from cifar_lessons.objectives.base import StepOutput
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.runtime import Runtime
from cifar_lessons.training.averaging import average_gradients
from cifar_lessons.training.step import train_step

CPU = torch.device("cpu")
B = 12  # of the whole batch: 1, 2 and 3 ranks share it


def whole_batch(*, repeated: bool) -> Batch:
    """Random images; if repeated, every sixth of the batch holds the same two."""
    rng = torch.Generator().manual_seed(1)
    images, labels = torch.randn(B, 3, 32, 32, generator=rng), torch.arange(B) % 10
    if repeated:
        images, labels = images[:2].repeat(B // 2, 1, 1, 1), labels[:2].repeat(B // 2)
    return Batch(images, labels, torch.arange(B))


class Contrast:
    """An objective that goes into the network by a way of its own."""

    def __call__(self, model: Any, batch: Batch) -> StepOutput:
        loss = F.cross_entropy(model[2:](model[0](batch.images)), batch.labels)
        return StepOutput(loss, {"loss": loss.detach()})


def one_step(kind: str) -> dict[str, Any]:
    """Take one step on this rank's slice, and return what came of it."""
    with joined(60) as group:
        runtime = Runtime(device=CPU, precision="fp32", group=group)
        whole, part = whole_batch(repeated=kind == "batch norm"), group.share(B)
        batch = Batch(whole.images[part], whole.labels[part], whole.index[part])
        # Not the same first weights everywhere: those of rank 0 are to win.
        torch.manual_seed(group.rank)
        norm = nn.BatchNorm2d(4) if kind == "batch norm" else nn.Identity()
        model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), norm, nn.Flatten(), nn.Linear(256, 10))
        objective = average_gradients(
            Contrast() if kind == "its own way" else SupervisedObjective(), model, runtime
        )
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        if kind == "overflow":
            scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100)
            batch.images[0] *= 1e30 if group.rank == group.size - 1 else 1
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        before = [p.detach().clone() for p in model.parameters()]
        clip = 0.01 if kind == "clipped" else None
        micro_batch = 2 if kind == "in parts" and group.size > 1 else None
        output = train_step(
            model,
            batch,
            objective,
            optimizer,
            runtime=runtime,
            scaler=scaler,
            clip_norm=clip,
            micro_batch=micro_batch,
        )
        moved = [
            (p.detach() - old).numpy() for p, old in zip(model.parameters(), before, strict=True)
        ]
        return {"moved": moved, "loss": output.loss.item(), "scale": scaler.get_scale()}


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("kind", ["plain", "its own way", "clipped", "batch norm", "in parts"])
def test_ranks_move_the_weights_as_one_process_does(ranks, kind, size):
    """Batch norm too, where every rank has the same images; else each has statistics of its own."""
    alone, together = one_step(kind), ranks.values(one_step, kind, size=size)
    for rank in together:
        for ours, theirs, first in zip(
            rank["moved"], alone["moved"], together[0]["moved"], strict=True
        ):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
            np.testing.assert_array_equal(ours, first)
    assert np.mean([rank["loss"] for rank in together]) == pytest.approx(alone["loss"], rel=1e-6)
    norm = np.sqrt(sum((m**2).sum() for m in together[0]["moved"]))
    assert norm == pytest.approx(0.01, rel=1e-3) if kind == "clipped" else norm > 0.1


def test_an_overflow_on_one_rank_makes_all_skip_the_step(ranks):
    first, second = ranks.values(one_step, "overflow")
    assert all(not m.any() for rank in (first, second) for m in rank["moved"])
    assert first["scale"] == second["scale"] == 2.0**99


def own_and_averaged() -> tuple[float, float]:
    """A weight's gradient without and with averaging, where rank r's loss is r + 1 times it."""
    with joined(60) as group:
        runtime = Runtime(device=CPU, precision="fp32", group=group)
        model = nn.Linear(1, 1, bias=False)

        def objective(model: nn.Module, batch: Batch) -> StepOutput:
            loss = (group.rank + 1) * model(torch.ones(1, 1)).mean()
            return StepOutput(loss, {"loss": loss.detach()})

        averaged = average_gradients(objective, model, runtime)
        batch, optimizer = whole_batch(repeated=False), torch.optim.SGD(model.parameters(), lr=0.1)
        found = []
        for block in (averaged.without_averaging(), torch.enable_grad()):
            with block:
                scaler = runtime.scaler()
                train_step(model, batch, averaged, optimizer, runtime=runtime, scaler=scaler)
            found.append(model.weight.grad.item())
        return found[0], found[1]


def test_averaging_can_be_left_out_to_time_it(ranks):
    assert ranks.values(own_and_averaged) == [(1.0, 1.5), (2.0, 1.5)]


def test_alone_the_objective_stays_itself():
    objective = SupervisedObjective()
    runtime = Runtime(device=CPU, precision="fp32")
    assert average_gradients(objective, nn.Linear(1, 1), runtime) is objective
