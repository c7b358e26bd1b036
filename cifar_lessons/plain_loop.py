"""The training loop that tutorials use, unimproved: what ours is measured against.

Source: PyTorch tutorials, "Training a Classifier" (pytorch/tutorials,
beginner_source/blitz/cifar10_tutorial.py). Four things differ, so that both loops do the same
work: the network, batches of 128 where the tutorial has 4, its channel statistics in place of
0.5, and the random crop and flip that nearly every longer tutorial adds. `DataLoader` keeps its
defaults but for the number of worker processes.
"""

import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
import torchvision.transforms as transforms
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import CIFAR10

from cifar_lessons.config import CIFAR10_MEAN, CIFAR10_STD
from cifar_lessons.data.cifar import Cifar, Split, data_root

Pairs = list[Tensor]  # images (B, 3, 32, 32) float32, labels (B,) int64
WORKERS = (0, 1, 2)  # the plain loop is taken at its best of these


class ImagesInMemory(CIFAR10):  # type: ignore[misc] # torchvision has no types
    """torchvision's CIFAR10 over images that come from elsewhere, such as the synthetic twin.

    It inherits `__getitem__` (array, PIL image, transforms), so an image costs exactly the same.
    """

    def __init__(self, split: Split, transform: Any) -> None:
        """Take the images over; nothing is read from a disk."""
        self.data = split.images.permute(0, 2, 3, 1).contiguous().numpy()  # (N, 32, 32, 3)
        self.targets = split.labels.tolist()
        self.transform, self.target_transform = transform, None
        self.train, self.root = True, ""


def pil_transforms() -> transforms.Compose:
    """Return the usual chain: crop and flip of the PIL image, tensor, normalised tensor."""
    return transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(CIFAR10_MEAN, CIFAR10_STD),
        ]
    )


def plain_dataset(data: Cifar, folder: Path | None = None) -> Dataset[Any]:
    """Return torchvision's CIFAR10, or its twin where the official files are not there.

    Args:
        data: What our own loop trains on, all of it in `data.train`.
        folder: Of the official files; see `data_root`.
    """
    if data.official_order:
        found: Dataset[Any] = CIFAR10(data_root(folder), train=True, transform=pil_transforms())
        return found
    return ImagesInMemory(data.train, pil_transforms())


def plain_loader(dataset: Dataset[Any], *, batch_size: int, workers: int) -> DataLoader[Any]:
    """Return `DataLoader(dataset, batch_size=…, shuffle=True, num_workers=workers)`.

    Args:
        dataset: Gives (image, label).
        batch_size: B; the last batch of an epoch may be shorter.
        workers: Processes that prepare batches; 0 prepares them in this one.
    """
    with warnings.catch_warnings():
        # More workers than cores is a bad idea, and one of the settings that are compared.
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        return DataLoader(dataset, batch_size=batch_size, shuffle=True, num_workers=workers)


def endless(loader: DataLoader[Any]) -> Generator[Pairs, None, None]:
    """Yield batches, epoch after epoch; `close()` ends the worker processes."""
    while True:
        with warnings.catch_warnings():
            # Python 3.12 and later warn of a fork beside torch's threads; a worker starts none.
            warnings.filterwarnings("ignore", ".* is multi-threaded", DeprecationWarning)
            batches = iter(loader)
        try:
            yield from batches
        finally:
            # After an exception its traceback keeps `batches`, and so the workers, alive.
            getattr(batches, "_shutdown_workers", lambda: None)()


def plain_step(net: nn.Module, data: Pairs, optimizer: Optimizer, device: torch.device) -> float:
    """Train on one batch, line by line as the tutorial does, and return the loss in nats.

    Args:
        net: In float32 and the default layout.
        data: Images and labels, as `DataLoader` gives them.
        optimizer: Over the weights of `net`.
        device: Of `net`.
    """
    inputs, labels = data[0].to(device), data[1].to(device)
    optimizer.zero_grad()
    outputs = net(inputs)
    loss = nn.functional.cross_entropy(outputs, labels)
    loss.backward()
    optimizer.step()
    return loss.item()
