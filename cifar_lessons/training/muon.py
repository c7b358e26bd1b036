"""Muon: momentum whose update is made orthogonal, for the filters of convolutions.

A gradient of a filter bank is dominated by a few directions; Muon gives all directions of the
update the same length, so rare ones are learned too. Source: Jordan et al. (2024), "Muon: An
optimizer for hidden layers in neural networks", and cifar10-airbench; weights are kept at a fixed
norm as there.

`torch.optim.Muon` takes matrices alone, and decays weights where this keeps their norm. A filter
bank (O, I, H, W) is a matrix with O rows here.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # steepest at 0, so few steps are enough (source)


def orthogonalise(matrix: Tensor, *, steps: int = 3, eps: float = 1e-7) -> Tensor:
    """Return nearly the nearest orthogonal matrix: same directions, singular values near 1.

    The iteration X <- a X + (b A + c A^2) X with A = X X^T moves every singular value s by the
    polynomial a s + b s^3 + c s^5. After 3 steps most lie in 0.5 to 1.5, which is near enough.

    Args:
        matrix: (R, C) float, on any device.
        steps: Of the iteration, >= 1.
        eps: Keeps a gradient of zeros finite.

    Returns:
        (R, C), of the type of the input.
    """
    a, b, c = NEWTON_SCHULZ
    x: Tensor = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T  # the small side gives A
    x = x / (x.norm() + eps)  # the largest singular value is now at most 1
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon(Optimizer):
    """Muon for the filters of convolutions, SGD with Nesterov momentum for all other weights.

    One optimizer and not two, so that one `step` moves all weights and one state resumes them.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 0.1,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        orthogonal: bool | None = None,
    ) -> None:
        """Take weights, or groups of them with settings of their own.

        Args:
            params: As for every optimizer of PyTorch.
            lr: The rate. Filters usually want another one than the rest: give groups then.
            momentum: In [0, 1).
            weight_decay: Added to the gradient, before momentum; not for filters, whose norm is
                fixed.
            orthogonal: Whether updates are made orthogonal. None: those of weights with four
                dimensions are.
        """
        settings = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "orthogonal": orthogonal})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, weight.grad, group)
        return loss

    def _move(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        momentum, state = group["momentum"], self.state[weight]
        orthogonal = group["orthogonal"]
        if orthogonal is None:
            orthogonal = weight.ndim == 4
        if not orthogonal and group["weight_decay"]:
            gradient = gradient.add(weight, alpha=group["weight_decay"])
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        buffer = state["momentum_buffer"].mul_(momentum).add_(gradient)
        update = gradient.add(buffer, alpha=momentum)  # Nesterov: one step ahead
        if orthogonal:
            rows = len(weight)
            # Every row near length 1, whatever the history: the rate is relative to that.
            weight.mul_(rows**0.5 / weight.norm())
            update = orthogonalise(update.reshape(rows, -1)).view(update.shape)
        weight.add_(update, alpha=-group["lr"])
