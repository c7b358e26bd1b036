"""Measured facts that are no training run: what is in the data, and how large the networks are.

`cifar-lessons study NAME` computes one and records it, with its provenance, beside the runs.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons import runs
from cifar_lessons.errors import UserError, suggest

Images = npt.NDArray[np.uint8]  # (N, 3, 32, 32)
Facts = dict[str, Any]  # ready for JSON

NEAR = 0.95  # correlation of two images, over which they count as nearly equal


def data_facts(root: Path, name: str = "cifar10") -> Facts:
    """Return counts, channel statistics and duplicates of a data set.

    Args:
        root: Folder of the data.
        name: `cifar10` or `cifar100`.

    Raises:
        UserError: The data is missing or damaged.
    """
    from cifar_lessons.data.cifar import read_official

    train, train_labels, test, test_labels, classes, digest = read_official(name, root)
    return {
        "digest": digest,
        "images": len(train) + len(test),
        "train_images": len(train),
        "test_images": len(test),
        "shape": list(train.shape[1:]),
        "classes": len(classes),
        "train_per_class": _per_class(train_labels, len(classes)),
        "test_per_class": _per_class(test_labels, len(classes)),
        **pixel_statistics(train),
        "duplicates": {**exact_duplicates(train, test), "test_near_train": near_test(train, test)},
    }


def _per_class(labels: npt.NDArray[np.int64], classes: int) -> int | list[int]:
    """Return images of each class: one number where all are equal."""
    counts = np.bincount(labels, minlength=classes).tolist()
    return int(counts[0]) if len(set(counts)) == 1 else counts


def pixel_statistics(images: Images) -> Facts:
    """Return mean and std of each channel over all pixels, and the mean of each image's own std.

    Pixels are in [0, 1]. The sums are whole numbers, so nothing is rounded before the last step.
    The third is smaller: it leaves out that some images are brighter than others. With one degree
    of freedom less, as in torch.std, it is the (0.2023, 0.1994, 0.2010) that repositories copy.
    """
    pixels = images.transpose(1, 0, 2, 3).reshape(3, -1)  # (3, N * 1024)
    count = pixels.shape[1]
    mean, std, image_std = [], [], []
    for channel in range(3):
        histogram = np.bincount(pixels[channel], minlength=256)
        values = np.arange(256)
        total, squares = int(histogram @ values), int(histogram @ values**2)
        mean.append(total / count / 255)
        std.append((count * squares - total**2) ** 0.5 / count / 255)
        own = images[:, channel].reshape(len(images), -1).std(axis=1, dtype=np.float64, ddof=1)
        image_std.append(float(own.mean()) / 255)
    return {"mean": mean, "std": std, "image_std": image_std}


def exact_duplicates(train: Images, test: Images) -> dict[str, int]:
    """Return how many images repeat an earlier one pixel for pixel, by sha256 of their pixels."""
    seen = [[hashlib.sha256(i.tobytes()).digest() for i in images] for images in (train, test)]
    in_train = set(seen[0])
    return {
        "within_train": sum(n - 1 for n in Counter(seen[0]).values()),
        "within_test": sum(n - 1 for n in Counter(seen[1]).values()),
        "test_in_train": sum(digest in in_train for digest in seen[1]),
    }


def near_test(train: Images, test: Images, *, above: float = NEAR) -> int:
    """Count test images that have a nearly equal train image, as it is or mirrored.

    The nearest train image is sought among 8x8 grey thumbnails, then compared pixel by pixel. At a
    correlation over 0.95, 29 of the 30 pairs that we looked at showed one photograph twice. Copies
    that are shifted or scaled escape, so the true number is larger: Barz & Denzler (2020,
    arXiv:1902.00423) found 3.3 % by eye, and `robustness.near_duplicates` finds shifted ones too.
    """
    found = np.zeros(len(test), bool)
    small = _unit(_thumbnails(test))
    for candidates in (train, train[..., ::-1]):
        library = _unit(_thumbnails(candidates)).T  # (64, N)
        for start in range(0, len(test), 500):  # 500 x 50,000 similarities are 100 MB
            part = slice(start, start + 500)
            nearest = (small[part] @ library).argmax(axis=1)
            a, b = (_unit(x.reshape(len(x), -1)) for x in (test[part], candidates[nearest]))
            found[part] |= (a * b).sum(axis=1) > above
    return int(found.sum())


def _thumbnails(images: Images) -> npt.NDArray[np.float32]:
    """Return grey 8x8 means, shape (N, 64)."""
    grey = images.mean(axis=1, dtype=np.float32).reshape(-1, 8, 4, 8, 4)
    return np.asarray(grey.mean(axis=(2, 4)).reshape(len(images), 64))


def _unit(rows: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return rows with mean 0 and length 1, whose products are correlations."""
    centred = rows.astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(length, 1e-6))


def parameter_counts() -> Facts:
    """Return trainable parameters of every recipe and network, and the blocks of the ResNets."""
    from torch import nn

    from cifar_lessons.models import build_model
    from cifar_lessons.recipes import RECIPES

    def count(model: nn.Module) -> int:
        return sum(p.numel() for p in model.parameters() if p.requires_grad)

    recipes = {}
    for name, make in RECIPES.items():
        recipe = make()
        if str(recipe.model.options.get("architecture", "")).startswith("search:"):
            continue  # not found yet
        classes = 100 if recipe.data.dataset == "cifar100" else 10
        model = build_model(recipe.model.name, num_classes=classes, **recipe.model.options)
        recipes[name] = count(model)
    plain = ("simple_cnn", "resnet18", "resnet34", "resnet50", "mobilenet_v2")
    models = {name: build_model(name) for name in plain}
    counts = {name: count(model) for name, model in models.items()}
    for width in (0.75, 0.5):
        counts[f"mobilenet_v2 x{width}"] = count(build_model("mobilenet_v2", width=width))
    blocks = {
        name: sorted({type(m).__name__ for m in model.modules() if hasattr(m, "expansion")})
        for name, model in models.items()
        if name.startswith("resnet")
    }
    return {"models": counts, "recipes": recipes, "blocks": blocks}


def corruptions(root: Path) -> Facts:
    """Return the accuracy of the kept networks on spoiled test images."""
    from cifar_lessons.robustness.corruption_study import corruptions

    return corruptions(root)


def near_duplicates(root: Path) -> Facts:
    """Return the test images that have a near duplicate in train, by our own features."""
    from cifar_lessons.robustness.near_duplicates import near_duplicates

    return near_duplicates(root)


def distillation_share(root: Path) -> Facts:
    """Return how loudly a teacher speaks beside the labels, by loss and student."""
    from cifar_lessons.distilling.share import distillation_share

    return distillation_share(root)


def probes(root: Path) -> Facts:
    """Return what linear classifiers on frozen pre-trained features reach, by share of labels."""
    from cifar_lessons.pretraining.probes import probe_networks

    return probe_networks(root)


STUDIES: dict[str, Callable[[Path], Facts]] = {
    "corruptions": corruptions,
    "data_facts": data_facts,
    "data_facts_cifar100": lambda root: data_facts(root, "cifar100"),
    "near_duplicates": near_duplicates,
    "distillation_share": distillation_share,
    "parameter_counts": lambda root: parameter_counts(),
    "probes": probes,
}


def measure(name: str, root: Path) -> Facts:
    """Return the facts of a study.

    Args:
        name: A key of `STUDIES`.
        root: Folder of the data.

    Raises:
        UserError: An unknown name, one that another command measures, or missing data.
    """
    if name in runs.MEASURED_BY:
        raise UserError(f"study {name!r} is measured by `{runs.study_command(name)}`")
    if name not in STUDIES:
        raise UserError(f"no study {name!r}: {suggest(name, [*STUDIES, 'tta'])}")
    return STUDIES[name](root)
