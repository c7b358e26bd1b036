"""From a folder's pictures and a trained network to a network for these pictures.

The head is fitted first, on features as they are (`head`); then `fit` moves everything, the layers
that have learned before more slowly than the head, as in Howard & Ruder (2018), arXiv:1801.06146,
section 3.2, with two rates in place of one a layer.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cifar_lessons import building, experiment, runs
from cifar_lessons.config import (
    AugmentConfig,
    DataConfig,
    OptimConfig,
    Recipe,
    ScheduleConfig,
    Supervised,
)
from cifar_lessons.data.loader import TrainLoader, normalise
from cifar_lessons.evaluation.metrics import accuracy, negative_log_likelihood
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.fields import from_dict, to_dict
from cifar_lessons.finetuning.folder import Pictures
from cifar_lessons.finetuning.head import features, fit_head, has_bias, set_head
from cifar_lessons.models import Classifier
from cifar_lessons.runtime import Runtime
from cifar_lessons.training.fit import FitResult, fit

BODY_SHARE = 0.25  # rate of the layers that have learned before, in units of the head's
BATCH = 32  # pictures of a step, about
PEAK_LR = 0.02  # of a new head, and of a whole network that begins with new weights


@dataclass(frozen=True)
class Tuned:
    """What fine-tuning gave: the network, its history, and the head alone before it."""

    result: FitResult
    head_alone: float  # validation accuracy, a fraction


def recipe_from(start: runs.Run, *, pictures: int, epochs: int = 15, flip: bool = True) -> Recipe:
    """Return how a network is fine-tuned: its own architecture and normalisation, a new head.

    Args:
        start: The run whose weights are the start.
        pictures: To learn from; few fit no whole number of batches, and none should be left over.
        epochs: Over the pictures.
        flip: Show mirror images too; False for letters and digits.

    Raises:
        UserError: The start has learned features alone.
    """
    building.require_classes(start)
    old = from_dict(Recipe, start.recipe)
    name = old.name if old.name.endswith("_finetuned") else f"{old.name}_finetuned"
    return Recipe(
        name=name,
        model=old.model,
        data=DataConfig(
            dataset=old.data.dataset,
            mean=old.data.mean,
            std=old.data.std,
            val_size=0,  # the folder says what is held out
            augment=AugmentConfig(crop_padding=4, flip="random" if flip else "none"),
        ),
        objective=Supervised(label_smoothing=0.1),
        optim=OptimConfig(
            name="sgd",
            peak_lr=PEAK_LR,
            weight_decay=5e-4,
            schedule=ScheduleConfig(name="one_cycle"),
        ),
        epochs=epochs,
        batch_size=max(1, pictures // max(1, round(pictures / BATCH))),
        seeds=1,
    )


def tune(
    pictures: Pictures,
    start: runs.Run | None,
    recipe: Recipe,
    *,
    seed: int,
    runtime: Runtime,
    checkpoint: Path | None = None,
    commit: str = "",
    deadline: float | None = None,
    progress: bool = True,
) -> Tuned:
    """Train on a folder's pictures; see `fit` for checkpoints and stops.

    Args:
        pictures: To learn from and held out.
        start: The run whose weights are the start; None begins with new weights, all of which
            move at the rate of a new head.
        recipe: From `recipe_from`.
        seed: Of the new weights, order and augmentation.
        runtime: Device and precision.
        checkpoint: See `fit`.
        commit: See `fit`.
        deadline: See `fit`.
        progress: See `fit`.
    """
    classes = len(pictures.classes)
    model = building.new_model(recipe, seed=seed, num_classes=classes, runtime=runtime)
    exact = dataclasses.replace(runtime, precision="fp32")

    def validate(model: nn.Module) -> dict[str, float]:
        found = predict(model, pictures.val, recipe.data, runtime=runtime)
        return {"loss": negative_log_likelihood(found), "accuracy": accuracy(found)}

    alone = float("nan")
    if start is not None:
        learned = building.load_model(start, runtime).state_dict()
        body = {name: value for name, value in learned.items() if not name.startswith("head.")}
        model.load_state_dict(body, strict=False)  # all but the head
        seen = features(model, pictures.train, recipe.data, runtime=exact)
        labels = pictures.train.labels.numpy()
        set_head(model, *fit_head(seen, labels, classes=classes, bias=has_bias(model)))
        alone = accuracy(predict(model, pictures.val, recipe.data, runtime=exact))
    else:
        # Of all classes, which come one after the other.
        every = -(-len(pictures.train) // building.PREPARE_IMAGES)
        some = pictures.train.images[::every].to(runtime.device)
        model.prepare(normalise(some, recipe.data))
    result = fit(
        model,
        experiment.objective_of(recipe),
        train=TrainLoader(
            pictures.train,
            recipe.data,
            batch_size=recipe.batch_size,
            seed=seed,
            device=runtime.device,
        ),
        validate=validate,
        optimizer=_optimizer(model, recipe.optim, body_share=BODY_SHARE if start else 1.0),
        schedule=recipe.optim.schedule,
        peak_lr=recipe.optim.peak_lr,
        epochs=recipe.epochs,
        runtime=runtime,
        checkpoint=checkpoint,
        identity=_identity(recipe, pictures, start, seed, runtime),
        commit=commit,
        deadline=deadline,
        progress=progress,
    )
    return Tuned(result, alone)


def _optimizer(
    model: Classifier, config: OptimConfig, *, body_share: float
) -> torch.optim.Optimizer:
    """Return SGD over four groups: body and head, each with and without weight decay."""
    groups: list[dict[str, Any]] = []
    for head in (False, True):
        for matrix in (False, True):
            chosen = [
                weight
                for name, weight in model.named_parameters()
                if weight.requires_grad
                and name.startswith("head.") == head
                and (weight.ndim > 1) == matrix
            ]
            decay = config.weight_decay if matrix else 0.0
            scale = 1.0 if head else body_share  # read by `set_rates`
            if chosen:
                groups.append({"params": chosen, "weight_decay": decay, "lr_scale": scale})
    return torch.optim.SGD(groups, lr=config.peak_lr, momentum=config.momentum, nesterov=True)


def _identity(
    recipe: Recipe, pictures: Pictures, start: runs.Run | None, seed: int, runtime: Runtime
) -> dict[str, Any]:
    """Return what a checkpoint must agree on to be resumed."""
    weights = hashlib.sha256((start.folder / "weights.safetensors").read_bytes()) if start else None
    return {
        "the pictures": pictures.digest,
        "the weights to start from": weights.hexdigest() if weights else "new",
        "seed": seed,
        "precision": runtime.precision,
        "epochs": recipe.epochs,
        "recipe": json.dumps(to_dict(recipe), sort_keys=True),
    }
