"""Recorded networks whose weights are kept, ready for a chapter to look into.

Where nothing is recorded a chapter must still run: then a network is trained for a moment, and a
line says so.
"""

import numpy as np
import numpy.typing as npt
import torch

from cifar_lessons import recipes, runs
from cifar_lessons.building import load_model
from cifar_lessons.config import Recipe
from cifar_lessons.data.loader import normalise
from cifar_lessons.fields import from_dict
from cifar_lessons.models import Classifier
from cifar_lessons.notebook import Session
from cifar_lessons.runtime import Runtime


def network(name: str, session: Session) -> Classifier:
    """Return seed 0 of a recipe in evaluation mode: the recorded one, or else a taste of it.

    Args:
        name: Of a recipe.
        session: Its data and device train the network where none is kept.
    """
    recipe = recipes.get(name)
    run = next((run for run in recorded() if run.name == name), None)
    if run is None:
        print(f"{name} is not recorded yet, so one that was hardly trained stands in for it.")
        model = session.train(recipe, epochs=1).model.eval()
    else:
        print(f"{name}, recorded: test accuracy {100 * run.final['test_accuracy']:.1f} %")
        model = load_model(run, session.runtime)
    assert isinstance(model, Classifier)
    return model


def recorded() -> list[runs.Run]:
    """Return seed 0 of every recipe that keeps its weights, where it is recorded and fresh."""
    found = [runs.status(make())[:1] for make in recipes.RECIPES.values()]  # some plan no seed
    first = [run for rows in found for _, _, run in rows if run and run.kind != "pretrain"]
    return [run for run in first if (run.folder / "weights.safetensors").exists()]


def logits(
    run: runs.Run, images: npt.NDArray[np.uint8], *, runtime: Runtime, batch_size: int = 100
) -> npt.NDArray[np.float32]:
    """Return what a recorded network says of pictures, (N, K), in fp32.

    Args:
        run: It keeps its weights.
        images: uint8, (N, 3, 32, 32).
        runtime: Its device is used.
        batch_size: Pictures at once.
    """
    model, data = load_model(run, runtime), from_dict(Recipe, run.recipe).data
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            pixels = torch.from_numpy(images[start : start + batch_size]).to(runtime.device)
            batch = normalise(pixels.contiguous(memory_format=torch.channels_last), data)
            found.append(model(batch).float().cpu().numpy())
    return np.concatenate(found)
