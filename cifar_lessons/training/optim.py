"""Optimizers: which weights decay, and how.

Weight decay is for the weights of convolutions and linear layers. On the scale and shift of
batch normalisation and on biases it only fights the normalisation (He et al. 2019,
arXiv:1812.01187, section 3.1), so they are left out.
"""

import torch
from torch import nn
from torch.optim import Optimizer

from cifar_lessons.config import OptimConfig


def build_optimizer(model: nn.Module, config: OptimConfig) -> Optimizer:
    """Return an optimizer over two groups: weights that decay, and the rest.

    Args:
        model: Its trainable parameters are taken.
        config: Name, rates and decay. `adam` adds the decay to the gradient, `adamw` takes it
            off the weight, as their papers do.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    # fused: one pass over the weights instead of one an operation.
    fused = all(p.device.type in ("cpu", "cuda", "mps") for p in trained)
    if config.name == "sgd":
        return torch.optim.SGD(
            groups,
            lr=config.peak_lr,
            momentum=config.momentum,
            nesterov=config.nesterov and config.momentum > 0,
            fused=fused,
        )
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=config.peak_lr, fused=fused)


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """Set the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = lr
