"""`cifar-lessons study probes`: a linear classifier on frozen features, at every share of labels.

Each recorded pre-trained network, and the same network before any training, looks at all images
once. Then classifiers are fitted to shares of the labels, those that the runs of the same draw had.
The penalty is chosen on the 5,000 validation images, more than a user with few labels would have;
the test images are scored once, by the chosen one.
"""

from pathlib import Path
from typing import Any

import numpy as np

from cifar_lessons import building, experiment, recipes, runs, runtime
from cifar_lessons.config import Recipe
from cifar_lessons.data.cifar import Cifar
from cifar_lessons.data.label_share import keep_share
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import accuracy
from cifar_lessons.evaluation.probe import Floats, choose_probe, features
from cifar_lessons.pretraining.results import DRAWS, NETWORKS, REVISION, SHARES, UNTRAINED, pack
from cifar_lessons.runtime import Runtime

Facts = dict[str, Any]  # ready for JSON


def probe_networks(root: Path | None) -> Facts:
    """Return what linear probes of every recorded pre-trained network reach.

    Args:
        root: Folder of the data.

    Raises:
        UserError: No pre-trained network is recorded, or the data is missing.
    """
    found = [run for name in NETWORKS for _, _, run in runs.status(recipes.get(name)) if run]
    if not found:
        first = recipes.get(NETWORKS[0])
        raise UserError(
            f"no pre-trained network is recorded yet; `{runs.train_command(first, 0)}`, then "
            f"`{runs.record_command(first, 0)}`"
        )
    recipe = recipes.get(NETWORKS[0])
    here = runtime.detect(precision="fp32")
    data = experiment.load_data(recipe, root)
    new = building.new_model(recipe, seed=0, num_classes=len(data.classes), runtime=here)
    networks = {UNTRAINED: {"weights": "", "probes": probes(new, data, recipe, here)}}
    for run in found:
        model = building.load_encoder(run, here)
        digest = run.weights["sha256"] if run.weights else ""
        networks[run.name] = {"weights": digest, "probes": probes(model, data, recipe, here)}
    return {
        "revision": REVISION,
        "data": data.digest,
        "test_images": len(data.test),
        "features": new.feature_dim,
        "networks": networks,
    }


def probes(encoder: Any, data: Cifar, recipe: Recipe, here: Runtime) -> list[Facts]:
    """Return a probe of an encoder for every share and draw, ready for JSON.

    Args:
        encoder: With `features`.
        data: The splits; a share that leaves a class without labels is left out.
        recipe: Says how pixels are normalised.
        here: Device and precision.
    """
    rows: dict[str, Floats] = {
        name: features(encoder, split, recipe.data, runtime=here)
        for name, split in (("train", data.train), ("val", data.val), ("test", data.test))
    }
    place = {int(index): number for number, index in enumerate(data.train.index)}
    val, test = data.val.labels.numpy(), data.test.labels.numpy()
    smallest = int(np.bincount(data.train.labels).min())
    made = []
    for share in (s for s in SHARES if round(s * smallest) >= 1):
        for draw in range(DRAWS if share < 1 else 1):
            chosen = keep_share(data.train, share=share, classes=len(data.classes), seed=draw)
            where = [place[int(index)] for index in chosen.index]
            labelled = (rows["train"][where], chosen.labels.numpy())
            probe = choose_probe(labelled, (rows["val"], val))
            answers = probe(rows["test"], test)
            made.append(
                {
                    "share": share,
                    "draw": draw,
                    "labels": len(chosen),
                    "strength": probe.strength,
                    "val_accuracy": round(accuracy(probe(rows["val"], val)), 4),
                    "test_accuracy": round(accuracy(answers), 4),
                    "right": pack(answers.correct.tolist()),
                }
            )
    return made
