"""Folds in a notebook: trained live, and the images behind a row of suspects."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from cifar_lessons import plots
from cifar_lessons.config import Recipe
from cifar_lessons.data.cifar import Cifar, Split
from cifar_lessons.data.folds import cut
from cifar_lessons.evaluation.label_errors import Suspects
from cifar_lessons.evaluation.metrics import Predictions, accuracy
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.experiment import train
from cifar_lessons.folds.out_of_fold import OutOfFold
from cifar_lessons.notebook import QUICK_EPOCHS, QUICK_IMAGES, Session
from cifar_lessons.tables import Markdown


@dataclass(frozen=True, eq=False)
class LiveFolds:
    """What folds that were trained live gave: accuracies (K,), and a prediction an image (N)."""

    accuracies: tuple[float, ...]
    predictions: Predictions


def live_folds(session: Session, recipe: Recipe, *, folds: int, seed: int = 0) -> LiveFolds:
    """Cross-validate on the training images: in full, or as a labelled taste in the quick profile.

    Args:
        session: Of the notebook.
        recipe: What to train.
        folds: Parts, at least 2.
        seed: Of the partition and of each training.
    """
    data = session.data
    if session.profile == "quick":
        recipe = replace(recipe, epochs=min(recipe.epochs, QUICK_EPOCHS))
        data = replace(data, train=data.train[slice(0, QUICK_IMAGES)])
        print(
            f"A quick taste, not a result: {folds} folds of {len(data.train):,} images, "
            f"{recipe.epochs} epochs, {session.runtime.device}, {session.runtime.precision}."
        )
    labels, found, logits = data.train.labels.numpy(), [], []
    parts = cut(labels, folds=folds, seed=seed)
    for number, held_out in enumerate(parts):
        rest = np.setdiff1d(np.arange(len(labels)), held_out)
        train_split, score_split = (
            data.train[torch.from_numpy(which)] for which in (rest, held_out)
        )
        # No validation while it trains, and no test image comes near.
        fold = replace(data, train=train_split, val=score_split[slice(0, 0)], test=data.test[:0])
        model = train(recipe, fold, seed=seed, runtime=session.runtime, progress=False).model
        scored = predict(model, score_split, recipe.data, runtime=session.runtime)
        found.append(accuracy(scored))
        logits.append(scored.logits)
        print(
            f"fold {number}: {len(rest):,} images to train on, accuracy {100 * found[-1]:.1f} % "
            f"on the other {len(held_out):,}"
        )
    order = np.argsort(np.concatenate(parts))
    return LiveFolds(tuple(found), Predictions(np.concatenate(logits)[order], labels))


def images_of(data: Cifar, index: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return training images by their place in the official order, shape (M, 3, 32, 32).

    Args:
        data: The real data, whatever its split.
        index: Places, shape (M,).
    """
    both = [data.train, data.val]
    where = torch.cat([split.index for split in both]).argsort()[torch.from_numpy(index)]
    first = len(data.train)
    found = [_one(both[0], int(k)) if k < first else _one(both[1], int(k) - first) for k in where]
    return np.stack(found)


def _one(split: Split, row: int) -> npt.NDArray[np.uint8]:
    pixels: npt.NDArray[np.uint8] = split.images[row].numpy()
    return pixels


def suspects_sheet(
    data: Cifar, found: OutOfFold | None, suspects: Suspects | None, *, most: int = 24
) -> Figure | Markdown:
    """Draw the likeliest mislabelled training images: the label as given, then the suggestion.

    Args:
        data: What the notebook works with; only the real images in their order can be shown.
        found: The recorded folds, or None.
        suspects: Found in them, or None.
        most: Images to show.
    """
    if found is None or suspects is None:
        return Markdown("*The sheet is drawn once the folds are recorded.*")
    if not data.official_order:  # else the recorded places would show other images
        return Markdown(
            "*The sheet shows real images in their official order, which are not here: "
            "`cifar-lessons data --official-order` fetches them. No image is stored with the book.*"
        )
    top = suspects.index[:most]
    given = found.predictions.labels[top]
    titles = [
        f"{data.classes[g]}\n→ {data.classes[s]}"
        for g, s in zip(given, suspects.suggested[:most], strict=True)
    ]
    return plots.image_grid(images_of(data, top), titles, columns=8, inches=1.0)
