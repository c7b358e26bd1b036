"""The files of a network for every way to run it, and how right each of them answers."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons import building, recipes, runs
from cifar_lessons.config import Recipe
from cifar_lessons.data.cifar import Cifar
from cifar_lessons.deploy import export as exporting
from cifar_lessons.deploy.half import half
from cifar_lessons.deploy.model_file import About, ModelFile
from cifar_lessons.deploy.pixels import Logits, Pixels, as_pixels
from cifar_lessons.deploy.quantize import quantize
from cifar_lessons.deploy.runtimes import WAYS, base_of, open_way, write_network
from cifar_lessons.evaluation.metrics import Predictions, paired_difference
from cifar_lessons.models import Classifier
from cifar_lessons.runtime import Runtime, detect

PARITY = 200  # test images on which an exported file must agree with its network
LARGEST = 256  # images in a call


@dataclass(frozen=True)
class Prepared:
    """A network in a folder, ready for `open_way`.

    Attributes:
        folder: Holds the files, and `pixels.npy` with `LARGEST` test images.
        facts: `recipe`, `weights` (recorded or fresh), `sha256` of the recorded file, `parameters`,
            and `bytes` by way.
    """

    folder: Path
    facts: dict[str, Any]


def prepare(
    name: str,
    recipe_name: str,
    ways: Sequence[str],
    folder: Path,
    data: Cifar,
    *,
    calibration: int,
) -> Prepared:
    """Write the files of a network.

    Args:
        name: For messages.
        recipe_name: Its seed 0 gives the weights; where that is not recorded, or keeps none, the
            network gets fresh ones. They take the same time, and answer nothing.
        ways: Keys of `WAYS`.
        folder: An empty one.
        data: Its training images set the scales of int8.
        calibration: How many of them.
    """
    recipe = recipes.get(recipe_name)
    network, digest = _network(recipe, detect(device="cpu", precision="fp32"))
    normal = {"mean": recipe.data.mean, "std": recipe.data.std}
    built = {"model": recipe.model.name, "options": dict(recipe.model.options)}
    write_network(folder, network, {**built, **normal, "classes": len(data.classes)})
    images = as_pixels(data.test.images[: max(LARGEST, PARITY)])
    np.save(folder / "pixels.npy", np.resize(images, (LARGEST, *images.shape[1:])))
    weights = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    about = About(f"{name}", tuple(data.classes), weights, "fp32", 0.0)
    plain, _ = exporting.export(network, recipe.data, about=about, images=images[:PARITY])
    some = as_pixels(data.train.images[:calibration])
    makers: dict[str, Callable[[], ModelFile]] = {
        "fp32": lambda: plain,
        "int8": lambda: quantize(plain, some),
        "fp16": lambda: half(plain),
        "int8_symmetric": lambda: quantize(plain, some, symmetric=True),
    }
    for file in {WAYS[way].file for way in ways} - {"weights"}:
        (folder / f"{file}.onnx").write_bytes(makers[file]().content)
    facts = {
        "recipe": recipe_name,
        "weights": "recorded" if digest else "fresh",
        "sha256": digest,
        "parameters": building.num_parameters(network),
        "bytes": {way: _file(folder, way).stat().st_size for way in ways},
    }
    return Prepared(folder, facts)


def _file(folder: Path, way: str) -> Path:
    file = WAYS[way].file
    return folder / ("weights.safetensors" if file == "weights" else f"{file}.onnx")


def _network(recipe: Recipe, runtime: Runtime) -> tuple[Classifier, str]:
    """Return the recorded network of seed 0 and the sha256 of its file, or a fresh one and ""."""
    _, _, run = runs.status(recipe)[0]
    if run is not None and (file := run.folder / "weights.safetensors").exists():
        return building.load_model(run, runtime), hashlib.sha256(file.read_bytes()).hexdigest()
    fresh = building.new_model(recipe, seed=0, num_classes=10, runtime=runtime)
    return fresh.eval(), ""


def score(
    prepared: Prepared, ways: Sequence[str], data: Cifar, *, images: int, threads: int
) -> dict[str, dict[str, float]]:
    """Return how right each way answers, on test images, by the very files that are timed.

    Args:
        prepared: With recorded weights; fresh ones give an empty answer.
        ways: Keys of `WAYS`, the base of each among them.
        data: Its test images are taken in their order.
        images: How many of them.
        threads: Of the CPU.

    Returns:
        By way `accuracy`, a fraction; and `change`, `low` and `high`: its accuracy minus that of
        the base, with the 95 % interval for test images.
    """
    if prepared.facts["weights"] == "fresh":
        return {}
    labels = data.test.labels[:images].numpy()
    pixels = as_pixels(data.test.images[:images])
    found = {way: _answers(way, prepared.folder, pixels, labels, threads) for way in ways}
    scores = {}
    for way, said in found.items():
        change = paired_difference([found[base_of(way)]], [said])
        accuracy = float((said.logits.argmax(1) == labels).mean())
        scores[way] = {
            "accuracy": accuracy,
            "change": change.mean,
            "low": change.low,
            "high": change.high,
        }
    return scores


def _answers(
    way: str, folder: Path, pixels: Pixels, labels: npt.NDArray[np.int64], threads: int
) -> Predictions:
    run = open_way(way, folder, threads=threads)
    starts = range(0, len(pixels), 100)
    logits: Logits = np.concatenate([run(pixels[start : start + 100]) for start in starts])
    return Predictions(logits, labels)
