"""Batches from images that lie in memory: no worker processes, no hidden state.

CIFAR is 180 MB: it fits in memory, and on the accelerator if there is one. Order and
augmentation depend on (seed, epoch, image) alone; see `augment`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cifar_lessons.config import DataConfig
from cifar_lessons.data.augment import Draws, augment, cut_out, draw, pad
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.resize import FULL_SIDE, shrink
from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import layout, stream


@dataclass(frozen=True)
class Batch:
    """What a network sees at one step.

    Shapes: images (B, 3, 32, 32) float32 normalised, channels_last; labels (B,) int64;
    index (B,) int64, positions in the official order; teacher (B, K), the logits that a teacher
    gave to these very views, where there is one; second, shaped as images, another view of each
    image, where views are compared.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    teacher: Tensor | None = None
    second: Tensor | None = None

    def __len__(self) -> int:
        """Return B."""
        return len(self.labels)

    def shrink(self, side: int) -> "Batch":
        """Return the batch with images of this side, in pixels; smaller ones stay as they are."""
        return (
            self
            if side >= self.images.shape[-1]
            else replace(self, images=shrink(self.images, side))
        )

    def split(self, size: int | None) -> list["Batch"]:
        """Return parts of about as many pixels as `size` images of 32x32 have, in order.

        The parts are of equal size, give or take one image, whatever the side of the images: what
        they need in memory is what `size` is chosen for. None returns the whole batch.
        """
        if size is None:
            return [self]
        pixels = len(self) * self.images.shape[-1] ** 2
        count = min(len(self), max(1, round(pixels / (size * FULL_SIDE**2))))
        given = {name: t for name, t in vars(self).items() if t is not None}
        parts = zip(*(t.tensor_split(count) for t in given.values()), strict=True)
        return [Batch(**dict(zip(given, part, strict=True))) for part in parts]


def normalise(images: Tensor, data: DataConfig) -> Tensor:
    """Return `(pixels / 255 - mean) / std` per channel, float32, in the layout of the input.

    But on a device that has one right layout, in that (`runtime.layout`): all images come through
    here before a network sees them.

    Args:
        images: (B, 3, H, W) uint8.
        data: Holds mean and std, in units of [0, 1].
    """
    if layout(images.device) is torch.contiguous_format:
        images = images.contiguous()
    # A whole image of each constant, in the layout of the input: against 3 numbers, PyTorch's CPU
    # kernel would step through channels_last pixels 3 at a time.
    whole = torch.empty_like(images[:1], dtype=torch.float32)  # (1, 3, H, W)
    mean = torch.tensor(data.mean, device=images.device).mul(255)[:, None, None]
    scale = torch.tensor(data.std, device=images.device).mul(255).reciprocal()[:, None, None]
    mean, scale = whole.copy_(mean), torch.empty_like(whole).copy_(scale)
    return images.float().sub_(mean).mul_(scale)


class TrainLoader:
    """Shuffled, augmented batches of a split; the same for the same (seed, epoch).

    Where several processes train together, each gets its slice of every batch: the slices of all
    ranks in a row are the batch that one process would get.
    """

    def __init__(
        self,
        split: Split,
        data: DataConfig,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
        group: Group = ALONE,
        teacher: Callable[[int], Tensor] | None = None,
    ) -> None:
        """Move the split to the device and pad it once.

        Args:
            split: The training images.
            data: Augmentation and normalisation.
            batch_size: B. The last batch of an epoch is dropped if it is short, so that every
                step is of one size; with fewer than B images in all, it is kept.
            seed: Of the run.
            device: Where batches live.
            group: Who shares each batch.
            teacher: Maps an epoch to a teacher's logits for its N views, (N, K) in the order of
                the split; they go along with the images.

        Raises:
            UserError: A batch does not split into equal slices, so that the mean of the ranks'
                means would not be the mean over the batch.
        """
        self.split = Split(split.images.to(device), split.labels.to(device), split.index.to(device))
        self.data = data
        self.batch_size = min(batch_size, len(split))
        if self.batch_size % group.size:
            raise UserError(_unequal(self.batch_size, group.size))
        self.part = group.share(self.batch_size)
        self.seed = seed
        self.device = torch.device(device)
        self.teacher = teacher
        self._padded = pad(self.split.images, data.augment)

    def __len__(self) -> int:
        """Return the number of steps of an epoch."""
        return len(self.split) // self.batch_size

    def epoch(self, epoch: int, *, skip: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch, or this rank's slice of each.

        Args:
            epoch: From 0.
            skip: Steps to leave out at the start, when a run resumes inside an epoch.
        """
        n, b = len(self.split), self.batch_size
        order = torch.randperm(n, generator=stream(self.seed, "order", epoch)).to(self.device)
        views = self._views(epoch)
        answers = None if self.teacher is None else self.teacher(epoch).to(self.device)
        for step in range(skip, len(self)):
            which = order[step * b : (step + 1) * b][self.part]
            batch = views(which)
            yield batch if answers is None else replace(batch, teacher=answers[which])

    def in_order(self, epoch: int, *, batch_size: int) -> Iterator[Batch]:
        """Yield the same views of the same epoch in the order of the split, every image once."""
        views = self._views(epoch)
        for which in torch.arange(len(self.split), device=self.device).split(batch_size):
            yield views(which)

    def _views(self, epoch: int) -> Callable[[Tensor], Batch]:
        """Return what gives the images at some positions of the split as an epoch shows them."""
        config = self.data.augment
        seed = self.seed if config.seed is None else config.seed
        drawn = draw(len(self.split), config, seed=seed, epoch=epoch)
        draws = Draws(*(t.to(self.device) for t in vars(drawn).values()))

        def batch(which: Tensor) -> Batch:
            pixels = augment(self._padded, draws, which, config)
            images = cut_out(normalise(pixels, self.data), draws, which, config)
            return Batch(images, self.split.labels[which], self.split.index[which])

        return batch


def _unequal(batch_size: int, ranks: int) -> str:
    """Return what is wrong and the nearest numbers that fit."""
    fitting = [n for n in range(1, batch_size + 1) if batch_size % n == 0]
    near = [max(n for n in fitting if n < ranks), *(n for n in fitting if n > ranks)][:2]
    rounded = max(batch_size // ranks, 1) * ranks
    return (
        f"a batch of {batch_size} images does not split into {ranks} equal parts; start "
        f"{' or '.join(map(str, near))} processes, or try --set batch_size={rounded}"
    )


def eval_batches(
    split: Split, data: DataConfig, *, batch_size: int, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """Yield all images once, in order, normalised and not augmented."""
    for start in range(0, len(split), batch_size):
        part = split[slice(start, start + batch_size)]
        pixels = part.images.to(device).contiguous(memory_format=torch.channels_last)
        images = normalise(pixels, data)
        yield Batch(images, part.labels.to(device), part.index.to(device))
