"""Shared weights: how they begin, and how well an architecture does with them."""

import torch

from cifar_lessons.config import ArchitectureSearch, Recipe
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.loader import normalise
from cifar_lessons.enas.controller import Chooser, Controller, Uniform
from cifar_lessons.enas.space import Architecture
from cifar_lessons.errors import UserError
from cifar_lessons.models import build_model
from cifar_lessons.models.enas import SharedNetwork
from cifar_lessons.runtime import Runtime, layout, stream_seed

CHUNK = 500  # validation images that are normalised together by their own statistics


@torch.inference_mode()
def shared_accuracy(
    network: SharedNetwork,
    architecture: Architecture,
    split: Split,
    recipe: Recipe,
    runtime: Runtime,
    *,
    chunk: int = CHUNK,
) -> float:
    """Return the accuracy of an architecture on a split with the shared weights, in [0, 1].

    Args:
        network: Its choice is changed to the architecture.
        architecture: What is asked.
        split: Images, not augmented.
        recipe: Says how pixels are normalised.
        runtime: Device and precision.
        chunk: Images at a time; batch norm takes its statistics from them, so it matters.
    """
    network.choose(architecture)
    if network.training:  # to walk through all modules takes as long as a small batch
        network.eval()
    right = 0
    for start in range(0, len(split), chunk):
        part = split[slice(start, start + chunk)]
        images = part.images.to(runtime.device).contiguous(memory_format=torch.channels_last)
        with runtime.autocast():
            logits = network(normalise(images, recipe.data))
        right += int((logits.argmax(1) == part.labels.to(runtime.device)).sum())
    return right / len(split)


def new_search(
    recipe: Recipe, *, seed: int, num_classes: int, runtime: Runtime
) -> tuple[SharedNetwork, Chooser]:
    """Return shared weights and a controller as they are when a search begins.

    Raises:
        UserError: An option of the network that is unknown, of a wrong type or out of its range.
    """
    config = recipe.objective
    assert isinstance(config, ArchitectureSearch)
    if "architecture" in recipe.model.options:
        raise UserError("a search finds model.options.architecture; leave it out")
    build_model("enas", num_classes=num_classes, **recipe.model.options)  # for its checks
    torch.manual_seed(stream_seed(seed, "init"))
    options = dict(recipe.model.options)
    network = SharedNetwork(
        layers=config.layers,
        width=options.get("width", 24),
        num_classes=num_classes,
        dropout=options.get("dropout", 0.0),
    )
    chooser: Chooser = Uniform(config.layers)
    if config.controller == "reinforce":
        chooser = Controller(
            config.layers,
            tanh_constant=config.tanh_constant,
            temperature=config.temperature,
            skip_target=config.skip_target,
        )
    moved: SharedNetwork = network.to(runtime.device, memory_format=layout(runtime.device))  # type: ignore[call-overload]
    return moved, chooser
