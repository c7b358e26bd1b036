"""A fine-tuned network as a file for other engines, its class names inside."""

import hashlib
from pathlib import Path

from cifar_lessons import building, runs, runtime
from cifar_lessons.atomic import write_atomically
from cifar_lessons.config import Recipe
from cifar_lessons.deploy.export import Parity, export
from cifar_lessons.deploy.model_file import About
from cifar_lessons.deploy.pixels import as_pixels
from cifar_lessons.fields import from_dict
from cifar_lessons.finetuning.folder import Pictures

PARITY = 200  # pictures on which file and network must agree


def export_run(folder: Path, pictures: Pictures) -> tuple[Path, Parity]:
    """Write `model.onnx` beside a finished run, and return how it compares with the network.

    Args:
        folder: From `finetune`.
        pictures: Those held out are used.

    Raises:
        UserError: The file would give other answers, or cannot be written.
    """
    run = runs.read_run(folder)
    network = building.load_model(run, runtime.detect(device="cpu", precision="fp32"))
    weights = (folder / "weights.safetensors").read_bytes()
    about = About(
        name=f"{run.name} {folder.name}",
        classes=run.classes,
        weights=hashlib.sha256(weights).hexdigest(),
        precision="fp32",
        test_accuracy=run.final["val_accuracy"],
        scored_on="validation",
    )
    images = as_pixels(pictures.val.images[:PARITY])
    made, parity = export(network, from_dict(Recipe, run.recipe).data, about=about, images=images)
    target = folder / "model.onnx"
    write_atomically(target, made.content)
    return target, parity
