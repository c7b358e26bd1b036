"""SimCLR: two views of an image belong together, and apart from all views of all others.

Source: Chen et al. (2020), arXiv:2002.05709, equation 1 and algorithm 1. Theirs is a fraction of
exponentials; here its logarithm is taken by log-sum-exp, which no temperature makes overflow.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_lessons.config import SimClr
from cifar_lessons.data.loader import Batch
from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.objectives.base import StepOutput
from cifar_lessons.objectives.gather import gather


def nt_xent(first: Tensor, second: Tensor, *, temperature: float, group: Group = ALONE) -> Tensor:
    """Return the mean over all 2B views of ``logsumexp(s / T) - s[partner] / T``.

    s are the cosines of a view with all other views of the batch, itself left out: the other view
    of the same image, its partner, and 2B - 2 views of other images. So it is a cross-entropy:
    which of 2B - 1 views is the partner?

    Args:
        first: One view of each image after the projection head, shape (B, D), of any length.
        second: The other view of the same images, in the same order; same shape.
        temperature: T > 0, no unit. Small T looks at the nearest wrong views alone.
        group: Of ranks that hold a slice of the batch each; views of all of them are compared.

    Returns:
        In nats, over the views of this rank: a float32 scalar. ln(2B - 1) is a blind guess.

    Raises:
        ValueError: The shapes differ, T is not above 0, or there is one image only.
    """
    require_pair(first, second)
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, got {temperature}; 0.5 is a usual start")
    images = len(first) * group.size
    if images < 2:
        raise ValueError(
            f"a contrastive loss needs images to tell apart, got a batch of {images}; try 256"
        )
    # float32, which autocast would undo: bfloat16's 8 significant bits make ties among cosines.
    with torch.autocast(first.device.type, enabled=False):
        own = [F.normalize(view.float(), dim=1) for view in (first, second)]
        everyone = torch.cat([gather(view, group) for view in own])  # (2B, D)
        here = torch.arange(len(first), device=first.device) + len(first) * group.rank
        losses = []
        for view, mine, partner in ((own[0], here, here + images), (own[1], here + images, here)):
            cosines = view @ everyone.mT / temperature  # (B, 2B)
            cosines = cosines.scatter(1, mine[:, None], -torch.inf)  # no rival of itself
            losses.append(F.cross_entropy(cosines, partner))
        return torch.stack(losses).mean()


def require_pair(first: Tensor, second: Tensor) -> None:
    """Raise `ValueError` unless both are (B, D)."""
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(
            f"both views must be of one shape (B, D), got {tuple(first.shape)} and "
            f"{tuple(second.shape)}; send both through the same network"
        )


def two_views(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return what a network makes of both views of a batch, (B, D) each.

    Raises:
        ValueError: The batch holds one view of each image.
    """
    if batch.second is None:
        raise ValueError(
            "the batch holds one view of each image; take batches from PairLoader, as "
            "experiment.train does"
        )
    # Both views at once: one pass, and one set of statistics for batch norm.
    first, second = model(torch.cat([batch.images, batch.second])).float().chunk(2)
    return first, second


def spread(views: Tensor) -> Tensor:
    """Return the mean standard deviation of a unit vector's numbers, times the root of D.

    1 says that the vectors point everywhere, 0 that all are one: the sign of a collapse. Source:
    Chen & He (2021), arXiv:2011.10566, section 4.1.

    Args:
        views: (B, D), not all 0.
    """
    unit = F.normalize(views.detach().float(), dim=1)
    deviation: Tensor = unit.std(dim=0, unbiased=False).mean()
    return deviation * math.sqrt(views.shape[1])


@dataclass(frozen=True)
class SimClrObjective:
    """The loss of a `projection.Projected` network on a batch of pairs."""

    config: SimClr
    group: Group = ALONE

    def __call__(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Return the loss, the cosine of partners, and how far all views are spread."""
        first, second = two_views(model, batch)
        loss = nt_xent(first, second, temperature=self.config.temperature, group=self.group)
        return StepOutput(loss, pair_metrics(first, second))


def pair_metrics(first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Return what is told of a step beside its loss: the partners' mean cosine, and the spread."""
    return {
        "partners": F.cosine_similarity(first.detach(), second.detach()).mean(),
        "spread": spread(torch.cat([first, second])),
    }
