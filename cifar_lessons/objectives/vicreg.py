"""VICReg: two views of an image agree, and the numbers that describe images are kept busy.

Nothing is compared with other images, so there are no negatives. What keeps all images from getting
the same description is two terms about the batch: each number must vary, and no two may say the
same.

Source: Bardes, Ponce & LeCun (2022), arXiv:2105.04906, section 4.1, with the means of their code
(facebookresearch/vicreg, main_vicreg.py): agreement as a mean over numbers too, and half the sum of
both views' variance terms.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_lessons.config import VicReg
from cifar_lessons.data.loader import Batch
from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.objectives.base import StepOutput
from cifar_lessons.objectives.gather import gather
from cifar_lessons.objectives.simclr import pair_metrics, require_pair, two_views

TARGET = 1.0  # the standard deviation that each number should have at least
EPSILON = 1e-4  # below the root: its slope at 0 is infinite


@dataclass(frozen=True)
class Terms:
    """The three parts of the loss, before they are weighted; float32 scalars, each >= 0."""

    invariance: Tensor
    variance: Tensor
    covariance: Tensor


def vicreg_terms(first: Tensor, second: Tensor, *, group: Group = ALONE) -> Terms:
    """Return how much two views differ, how idle their numbers are, and how redundant.

    Args:
        first: One view of each image after the projection head, shape (B, D).
        second: The other view of the same images, in the same order; same shape.
        group: Of ranks that hold a slice of the batch each; variance and covariance are those of
            the whole batch.

    Raises:
        ValueError: The shapes differ, or there is one image only.
    """
    require_pair(first, second)
    images, numbers = len(first) * group.size, first.shape[1]
    if images < 2:
        raise ValueError(f"variance over images needs two at least, got a batch of {images}")
    # float32, which autocast would undo: a small covariance would vanish in bfloat16.
    with torch.autocast(first.device.type, enabled=False):
        first, second = first.float(), second.float()
        variance, covariance = first.new_zeros(()), first.new_zeros(())
        for view in (first, second):
            centred = gather(view, group)
            centred = centred - centred.mean(dim=0)
            squares = centred.square().sum(dim=0) / (images - 1)
            variance = variance + F.relu(TARGET - (squares + EPSILON).sqrt()).mean() / 2
            matrix = centred.mT @ centred / (images - 1)  # (D, D)
            off_diagonal = matrix.square().sum() - matrix.diagonal().square().sum()
            covariance = covariance + off_diagonal / numbers
        return Terms(F.mse_loss(first, second), variance, covariance)


@dataclass(frozen=True)
class VicRegObjective:
    """The loss of a `projection.Projected` network on a batch of pairs."""

    config: VicReg
    group: Group = ALONE

    def __call__(self, model: nn.Module, batch: Batch) -> StepOutput:
        """Return the weighted sum, its parts, the cosine of partners, and the spread."""
        first, second = two_views(model, batch)
        terms = vicreg_terms(first, second, group=self.group)
        c = self.config
        parts = {"invariance": c.invariance, "variance": c.variance, "covariance": c.covariance}
        loss = torch.stack([weight * getattr(terms, name) for name, weight in parts.items()]).sum()
        told = {name: getattr(terms, name).detach() for name in parts}
        return StepOutput(loss, {**pair_metrics(first, second), **told})
