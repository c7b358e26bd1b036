"""Proves that the lines which chapter 7 prints, and does not run, average gradients as it says."""

import os
import re

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DistributedSampler, TensorDataset

STEP = """optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()"""
EPOCHS = 2


def beginning(seed):
    """Return what a reader has before the printed lines: data, a network, its optimizer."""
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(300, 12), torch.arange(300) % 10)  # the last batch is short
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 10))
    return data, model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def as_a_rank(printed):
    """Run the lines as a process that torchrun has started; return its weights."""
    torch.set_num_threads(1)
    data, model, optimizer = beginning(seed=int(os.environ["RANK"]))  # rank 0's weights must win
    names = {"data": data, "model": model, "optimizer": optimizer, "epochs": EPOCHS, "F": F}
    exec(compile(printed, "notebook", "exec"), names)
    return [weight.detach().numpy() for weight in model.parameters()]


def test_two_processes_get_the_weights_of_one(ranks):
    from exercises import read  # not found by the ranks, which import this file too

    text = "\n".join(c.source for c in read("07_many_machines.ipynb") if c.cell_type == "markdown")
    [printed] = re.findall(r"```python\n(import torch.distributed.*?)```", text, re.DOTALL)
    assert printed.count("...") == 1
    found = ranks.values(as_a_rank, printed.replace("...", STEP))

    data, model, optimizer = beginning(seed=0)
    sampler = DistributedSampler(data, num_replicas=1, rank=0)  # the order that all ranks share
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        for which in torch.tensor(list(sampler)).split(128):
            images, labels = data[which]
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
    for weights in found:
        for mine, right in zip(weights, model.parameters(), strict=True):
            torch.testing.assert_close(torch.from_numpy(mine), right.detach())
