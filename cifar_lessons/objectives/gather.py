"""All ranks' rows in one matrix, with a gradient: what comparing the images of a batch needs.

Each rank holds a slice of the batch. A loss that compares images wants to see all of them, and what
it says about another rank's images must flow back to that rank. The sum over the ranks' losses is
differentiated here; averaging over ranks, as `training.averaging` does, then gives the gradient of
the mean of their losses, which is the loss of the whole batch.
"""

from typing import Any

import torch
from torch import Tensor

from cifar_lessons.distributed import Group


class _Gather(torch.autograd.Function):
    """Rows of all ranks, by rank; backward, the sum of what all ranks ask of one's own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, group: Group) -> Tensor:
        import torch.distributed as dist

        ctx.group, ctx.length = group, len(rows)
        parts = [torch.empty_like(rows) for _ in range(group.size)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        import torch.distributed as dist

        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        first = ctx.group.rank * ctx.length
        return total[first : first + ctx.length], None


def gather(rows: Tensor, group: Group) -> Tensor:
    """Return the rows of all ranks, (R * B, D), from this rank's (B, D), the same B on all.

    Args:
        rows: Of this rank.
        group: Of the ranks; alone, the rows themselves come back.
    """
    if group.size == 1:
        return rows
    found: Tensor = _Gather.apply(rows, group)
    return found
