"""Mirrors cifar_lessons/objectives/gather.py: two ranks learn what one process would."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cifar_lessons.config import SimClr, VicReg
from cifar_lessons.data.loader import Batch
from cifar_lessons.distributed import ALONE
from cifar_lessons.joining import joined
from cifar_lessons.objectives.gather import gather
from cifar_lessons.objectives.simclr import SimClrObjective
from cifar_lessons.objectives.vicreg import VicRegObjective
from cifar_lessons.runtime import Runtime
from cifar_lessons.training.averaging import average_gradients
from cifar_lessons.training.step import train_step

B = 12


def one_step(kind: str) -> dict[str, Any]:
    """Take one step on this rank's slice of the batch; return what moved, and the loss."""
    with joined(60) as group:
        runtime = Runtime(device=torch.device("cpu"), precision="fp32", group=group)
        rng = torch.Generator().manual_seed(1)
        first = torch.randn(B, 6, generator=rng)
        second = first + 0.3 * torch.randn(B, 6, generator=rng)
        part = group.share(B)
        batch = Batch(
            first[part], torch.arange(B)[part], torch.arange(B)[part], second=second[part]
        )
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5))
        objective: Any = (
            SimClrObjective(SimClr(temperature=0.3), group)
            if kind == "simclr"
            else VicRegObjective(VicReg(), group)
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        before = [p.detach().clone() for p in model.parameters()]
        output = train_step(
            model,
            batch,
            average_gradients(objective, model, runtime),
            optimizer,
            runtime=runtime,
            scaler=runtime.scaler(),
        )
        pairs = zip(model.parameters(), before, strict=True)
        return {"moved": [(p.detach() - b).numpy() for p, b in pairs], "loss": output.loss.item()}


@pytest.mark.parametrize("kind", ["simclr", "vicreg"])
def test_two_ranks_with_gathered_rows_move_the_weights_as_one_process(ranks, kind):
    alone, together = one_step(kind), ranks.values(one_step, kind)
    for rank in together:
        for ours, theirs in zip(rank["moved"], alone["moved"], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert np.mean([rank["loss"] for rank in together]) == pytest.approx(alone["loss"], rel=1e-5)
    assert sum(np.abs(m).sum() for m in alone["moved"]) > 0.01


def test_alone_the_rows_come_back_themselves():
    rows = torch.ones(3, 2)
    assert gather(rows, ALONE) is rows
