"""How fast batches come, without a network: ours, the plain one, and the steps between.

The steps leave out one thing at a time: first PIL images, then `DataLoader`, then the loop over
single images. All of them crop and flip at random and normalise, in batches of one size.
"""

import itertools
from collections.abc import Generator
from pathlib import Path
from typing import Any

import PIL
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cifar_lessons.benchmark import Field, full_size
from cifar_lessons.config import DataConfig, ModelConfig, Recipe
from cifar_lessons.data.augment import Draws, draw, pad
from cifar_lessons.data.cifar import Split, load_or_synthetic
from cifar_lessons.data.loader import Batch, normalise
from cifar_lessons.interleave import Contender, take_turns
from cifar_lessons.plain_loop import Pairs, endless
from cifar_lessons.recipes import FLIP_CROP
from cifar_lessons.runtime import detect, stream
from cifar_lessons.speed.conditions import Conditions
from cifar_lessons.speed.wrong import require_seconds
from cifar_lessons.throughput import Result, compare


def bench_input(
    *,
    seconds: float = 90.0,
    batch_size: int = 128,
    data: Path | None = None,
    command: str = "",
    progress: bool = True,
) -> Result:
    """Measure input pipelines in turns, on the CPU.

    Args:
        seconds: For all of them; three rounds are run in any case.
        batch_size: Images in a batch; the target of 20 times is for 128.
        data: Folder of the data; else the synthetic twin stands in, repeated to 50,000.
        command: What the user typed, kept in the provenance.
        progress: Print a line a round.

    Returns:
        `values` and `provenance`, for JSON and `recording.record_study("bench_input", …)`.

    Raises:
        UserError: A value out of range, or damaged data.
    """
    require_seconds(seconds, "90")
    conditions = Conditions()
    runtime = detect(device="cpu")
    recipe = Recipe(
        name="bench_input",
        model=ModelConfig(name="simple_cnn"),  # any: no network is built
        data=DataConfig(val_size=0, augment=FLIP_CROP),
        batch_size=batch_size,
    )
    found = full_size(load_or_synthetic("cifar10", root=data, val_size=0))
    field = Field(recipe, found, data, runtime)
    steps = [
        _contender("image_tensors", endless(per_image_loader(found.train, recipe))),
        _contender("image_loop", one_by_one(found.train, recipe)),
    ]
    conditions.start(runtime, command=command, data_digest=found.digest)
    rates = take_turns(
        [*field.pipelines(), *steps],
        seconds=seconds,
        say=lambda line: print(line, flush=True) if progress else None,
    )
    facts, spent = conditions.finish()
    facts["packages"]["pillow"] = PIL.__version__
    values = {
        "batch_size": batch_size,
        "images": len(found.train),
        "synthetic": found.synthetic,
        "seconds": round(spent, 1),
        "pipeline": rates,
        "pipeline_alone": compare(rates),
    }
    return {"values": values, "provenance": facts}


def _contender(key: str, batches: Generator[Any, None, None]) -> Contender:
    def count(batch: Pairs | Batch) -> int:
        return len(batch) if isinstance(batch, Batch) else len(batch[1])

    return Contender(key=key, batches=batches, step=count, synchronize=lambda: None)


class PerImage(Dataset[tuple[Tensor, int]]):
    """Our images in memory, augmented and normalised one at a time, as a `Dataset` asks for it."""

    def __init__(self, split: Split, data: DataConfig, *, draws: Draws) -> None:
        """Pad the images once.

        Args:
            split: The training images.
            data: Augmentation and normalisation.
            draws: What happens to each image.
        """
        self.padded, self.labels = pad(split.images, data.augment), split.labels
        self.draws = draws
        self.mean = torch.tensor(data.mean).mul(255)[:, None, None]
        self.scale = torch.tensor(data.std).mul(255).reciprocal()[:, None, None]

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def pixels(self, i: int) -> Tensor:
        """Return image `i` cropped and perhaps mirrored: (3, 32, 32) uint8."""
        top, left = self.draws.shift[i].tolist()
        image = self.padded[i, :, top : top + 32, left : left + 32]
        return image.flip(2) if self.draws.flip[i] else image

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        """Return image `i`, (3, 32, 32) float32 normalised, and its class."""
        return (self.pixels(i).float() - self.mean) * self.scale, int(self.labels[i])


def per_image_loader(split: Split, recipe: Recipe) -> DataLoader[Any]:
    """Return a `DataLoader` over single images in memory, without workers."""
    draws = draw(len(split), recipe.data.augment, seed=0, epoch=0)
    dataset = PerImage(split, recipe.data, draws=draws)
    return DataLoader(dataset, batch_size=recipe.batch_size, shuffle=True)


def one_by_one(split: Split, recipe: Recipe) -> Generator[Batch, None, None]:
    """Yield our batches, epoch after epoch, but cut image by image: the same ones, bit for bit.

    Only the normalisation sees a whole batch.
    """
    n, size, data = len(split), recipe.batch_size, recipe.data
    images = PerImage(split, data, draws=draw(n, data.augment, seed=0, epoch=0))
    for epoch in itertools.count():
        images.draws = draw(n, data.augment, seed=0, epoch=epoch)
        order = torch.randperm(n, generator=stream(0, "order", epoch))
        for start in range(0, n - size + 1, size):
            which = order[start : start + size]
            pixels = torch.stack([images.pixels(i) for i in which.tolist()])
            pixels = pixels.contiguous(memory_format=torch.channels_last)
            yield Batch(normalise(pixels, data), split.labels[which], split.index[which])
