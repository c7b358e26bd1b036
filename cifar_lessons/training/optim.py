"""Optimizers: which weights decay, how fast each kind moves, and for how long.

Weight decay is for the weights of convolutions and linear layers. The scale and shift of batch
normalisation and all biases are left out, as He et al. (2019, arXiv:1812.01187, section 3.1)
advise. Muon's groups are those of its source.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from cifar_lessons.config import OptimConfig
from cifar_lessons.training.muon import Muon


def build_optimizer(model: nn.Module, config: OptimConfig) -> Optimizer:
    """Return an optimizer over groups of weights.

    Args:
        model: Its trainable parameters are taken. For `muon` the bias of a `stem` is a group of its
            own.
        config: Name, rates and decay. `adam` adds the decay to the gradient, `adamw` takes it
            off the weight (Loshchilov & Hutter 2017, arXiv:1711.05101, compare the two).
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if config.name == "muon":
        return Muon(_muon_groups(trained, config))
    groups = [
        {
            "params": [p for p in trained.values() if p.ndim > 1],
            "weight_decay": config.weight_decay,
        },
        {"params": [p for p in trained.values() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    # fused: one pass over the weights instead of one an operation.
    fused = all(p.device.type in ("cpu", "cuda", "mps") for p in trained.values())
    if config.name == "sgd":
        sgd = torch.optim.SGD(
            groups,
            lr=config.peak_lr,
            momentum=config.momentum,
            nesterov=config.nesterov and config.momentum > 0,
            fused=fused,
        )
        for weight in trained.values() if config.momentum > 0 else ():
            # Else the fused kernel makes it in the first step, from memory as it finds it, and
            # leaves it so where fp16 overflows in that step. It also wants it for all weights or
            # for none, and in a search most of them rest.
            sgd.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        return sgd
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=config.peak_lr, fused=fused)


def _muon_groups(trained: dict[str, nn.Parameter], config: OptimConfig) -> list[dict[str, Any]]:
    """Return filters, the stem's bias, the other biases, and the head's matrix.

    `lr_scale` is a group's peak rate in units of `config.peak_lr`, and `until` the share of all
    steps over which it moves; `set_rates` reads both.
    """
    side = config.muon

    def group(chosen: list[nn.Parameter], lr: float, **more: Any) -> dict[str, Any]:
        decay = {"momentum": side.momentum, "weight_decay": config.weight_decay / lr}
        rates = {"lr": lr, "lr_scale": lr / config.peak_lr}
        return {"params": chosen, "orthogonal": False, **rates, **decay, **more}

    filters = [p for p in trained.values() if p.ndim == 4]
    stem = [p for name, p in trained.items() if p.ndim == 1 and name.startswith("stem.")]
    biases = [p for name, p in trained.items() if p.ndim == 1 and not name.startswith("stem.")]
    matrices = [p for p in trained.values() if p.ndim == 2]
    main: dict[str, Any] = {"orthogonal": side.orthogonal, "momentum": config.momentum}
    if side.orthogonal:  # Muon keeps the norm of filters, so there is nothing to decay
        main["weight_decay"] = 0.0
    groups = [
        group(filters, config.peak_lr, **main),
        group(stem, side.bias_lr, until=side.stem_share),
        group(biases, side.bias_lr),
        group(matrices, side.head_lr),
    ]
    return [g for g in groups if g["params"]]


def set_rates(optimizer: Optimizer, rate: Callable[[float], float], *, rest: bool = True) -> None:
    """Set the learning rate of every group, and let rest those whose time is over.

    Args:
        optimizer: From `build_optimizer`.
        rate: Maps a share of all steps, in (0, 1], to the main rate now of weights that move over
            that share of the run; 0 once it is over. Weights at rest get no gradient, which saves
            the backward pass to them.
        rest: False computes a gradient all the same, where something waits for it.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate(group.get("until", 1.0)) * group.get("lr_scale", 1.0)
        if rest and "until" in group:
            for weight in group["params"]:
                weight.requires_grad_(group["lr"] > 0)


def wake(optimizer: Optimizer) -> None:
    """Let weights that rest learn again, as they could before training."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.requires_grad_(True)


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Set the learning rate of every group, each at its own scale."""
    set_rates(optimizer, lambda _: lr)
