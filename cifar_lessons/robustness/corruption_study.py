"""The study `corruptions`: accuracy of every kept network on spoiled test images.

Everything that is scored is listed here beforehand, and all of it is reported: which networks, on
how many images, which corruptions, one look and two. A wide network gets fewer images, so that the
whole takes some half an hour on two CPU cores. The images of a smaller set are among those of every
larger one, so that any two networks can be compared image by image.

It may be stopped at any time: what is done lies in OUTPUTS/studies/corruptions.json, under the
weights and the pixels that it belongs to, and the same command goes on.
"""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import scipy
import torch
from torch import nn

from cifar_lessons import recipes, runs
from cifar_lessons.atomic import alone_in
from cifar_lessons.building import load_model
from cifar_lessons.config import DataConfig, Recipe, ViewsConfig
from cifar_lessons.data.cifar import Split, load
from cifar_lessons.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.evaluation.tta import predict_views
from cifar_lessons.fields import from_dict
from cifar_lessons.robustness.answers import Answers, Store, summed_up
from cifar_lessons.runtime import Runtime, detect

# Test images by recipe, seed 0 each. Of 5,000, a single accuracy of 70 % is known to 1.3 points,
# of 2,000 to 2.0; means over all corruptions, and differences on the same images, to less.
NETWORKS = {
    "simple_cnn": 10_000,
    "simple_cnn_flip_crop": 10_000,
    "deep_cnn_bn": 5_000,
    "resnet18_w16_no_augment": 5_000,
    "resnet18_w16": 5_000,
    "speednet": 2_000,
    "resnet18": 2_000,
}
# Compared image by image: the first two say what augmentation does, the others what size does.
PAIRS = (
    ("simple_cnn", "simple_cnn_flip_crop"),
    ("resnet18_w16_no_augment", "resnet18_w16"),
    ("simple_cnn_flip_crop", "deep_cnn_bn"),
    ("deep_cnn_bn", "resnet18_w16"),
    ("resnet18_w16", "resnet18"),
)
SEED = 0  # of the choice of images and of all corruptions
FINGERPRINTED = 32  # images whose spoiled pixels must be as before, or what was done is done again


def corruptions(
    root: Path, *, outputs: Path = Path("outputs"), networks: Mapping[str, int] = NETWORKS
) -> dict[str, Any]:
    """Return what `answers.summed_up` says of the kept networks, and the conditions.

    Args:
        root: Folder of the data.
        outputs: What is done lies below it in `studies/`.
        networks: Test images by recipe.

    Raises:
        UserError: The data is missing or in another order, no network is kept, or another process
            is at work on the study.
    """
    with alone_in(outputs / "studies", lock=".corruptions.running"):
        return _corruptions(root, outputs / "studies" / "corruptions.json", networks)


def _corruptions(root: Path, path: Path, networks: Mapping[str, int]) -> dict[str, Any]:
    data = load("cifar10", root=root, val_size=0)
    if not data.official_order:
        raise UserError(
            "the study needs the official order of the test images; `cifar-lessons data "
            "--official-order` fetches it"
        )
    runtime = detect()
    kept = {name: run for name in networks if (run := _kept(name))}
    if not kept:
        raise UserError(
            f"no recorded run keeps weights of {', '.join(networks)}; train and record one of them"
        )
    models = {name: load_model(run, runtime) for name, run in kept.items()}
    configs = {name: from_dict(Recipe, run.recipe).data for name, run in kept.items()}
    order = stratified_order(data.test.labels.numpy(), seed=SEED)
    order = order[: max(networks[name] for name in kept)]
    images = data.test[torch.from_numpy(order)]
    store = Store(path)
    results: dict[str, dict[str, Answers]] = {name: {} for name in kept}
    seconds = 0.0
    for what in ("clean", *CORRUPTIONS):
        mark = _fingerprint(images, what)
        keys = {
            name: f"{name} {_sha256(run)[:16]} {networks[name]} {runtime.precision} {what} {mark}"
            for name, run in kept.items()
        }
        missing = [name for name in kept if keys[name] not in store]
        if missing:
            print(f"{what}: {', '.join(missing)}", flush=True)
            spoiled = _spoiled(images[slice(0, max(networks[name] for name in missing))], what)
        for name in missing:
            start, part = time.monotonic(), slice(0, networks[name])
            found = [_looks(models[name], s[part], configs[name], runtime) for s in spoiled]
            store.add(keys[name], np.stack(found, 1), seconds=time.monotonic() - start)
        for name in kept:
            results[name][what] = store[keys[name]]
            seconds += store.seconds(keys[name])
    facts: dict[str, Any] = {
        "digest": data.digest,
        "seed": SEED,
        "precision": runtime.precision,
        "libraries": {"pillow": PIL.__version__, "scipy": scipy.__version__},
        "seconds": round(seconds, 1),
        "not_kept": [name for name in networks if name not in kept],
        **summed_up(results, PAIRS),
    }
    for name, run in kept.items():
        facts["networks"][name]["weights"] = _sha256(run)
        # What the run itself says of these images, in fp32: how much the precision moves.
        recorded = run.logits("test").correct[order[: networks[name]]]
        facts["networks"][name]["clean"]["recorded"] = int(recorded.sum())
    return facts


def stratified_order(labels: npt.NDArray[np.int64], *, seed: int) -> npt.NDArray[np.int64]:
    """Return all positions in an order whose beginnings hold each class equally often, or nearly.

    Args:
        labels: Classes, (N,).
        seed: Of the order within a class.
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    turn = np.zeros(len(labels), np.int64)  # of an image within its class
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        turn[members] = np.arange(len(members))
    return np.asarray(np.lexsort((labels, turn)))


def _kept(name: str) -> runs.Run | None:
    """Return the recorded run of seed 0 if it is fresh and keeps its weights."""
    _, _, run = runs.status(recipes.get(name))[0]
    return run if run and (run.folder / "weights.safetensors").exists() else None


def _sha256(run: runs.Run) -> str:
    return str((run.weights or {}).get("sha256", ""))


def _spoiled(images: Split, what: str) -> list[Split]:
    """Return the images as they are, or spoiled in each severity."""
    if what == "clean":
        return [images]
    pixels, index = images.images.numpy(), images.index.numpy()
    levels = [corrupt(pixels, what, level, seed=SEED, index=index) for level in SEVERITIES]
    return [Split(torch.from_numpy(level), images.labels, images.index) for level in levels]


def _fingerprint(images: Split, what: str) -> str:
    """Return 16 digits that change with the images, the corruption's code, or its libraries."""
    few = _spoiled(images[slice(0, FINGERPRINTED)], what)
    pixels = b"".join(level.images.contiguous().numpy().tobytes() for level in few)
    return hashlib.sha256(pixels).hexdigest()[:16]


def _looks(model: nn.Module, images: Split, config: DataConfig, runtime: Runtime) -> Answers:
    """Return whether each image is told right, with one look and with two: (2, N)."""
    plain = predict(model, images, config, runtime=runtime)
    views = ViewsConfig(name="flip")
    flip = predict_views(plain, model, images, config, views=views, runtime=runtime)
    return np.stack([plain.correct, flip.correct])
