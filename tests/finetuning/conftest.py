"""A folder of drawings and a tiny network to start from."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cifar_lessons import pretrained, runs
from cifar_lessons.config import ModelConfig, Recipe
from cifar_lessons.data.drawings import write_set
from cifar_lessons.fields import from_dict, to_dict
from cifar_lessons.models import build_model
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
KINDS = ("chart", "house", "noise")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """Shared: don't change it."""
    folder = tmp_path_factory.mktemp("pictures") / "drawn"
    write_set(folder, KINDS, 8)
    return folder


@pytest.fixture
def mine(tmp_path) -> Path:
    """The test's own folder: ten pictures of two classes."""
    write_set(tmp_path / "mine", ("chart", "house"), 5)
    return tmp_path / "mine"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> runs.Run:
    """A run whose network is small enough to train in a second."""
    folder = tmp_path_factory.mktemp("tiny")
    options = {"width": 4}
    torch.manual_seed(0)
    model = build_model("resnet18", **options)
    with torch.no_grad():  # so that its batch norm knows what it normalises
        for _ in range(30):
            model.train()(torch.randn(16, 3, 32, 32))
    save_file(model.state_dict(), folder / "weights.safetensors")
    card = pretrained.card("resnet18_w16")
    recipe = dataclasses.replace(
        from_dict(Recipe, card.recipe),
        name="tiny",
        model=ModelConfig(name="resnet18", options=options),
    )
    return dataclasses.replace(card, recipe=to_dict(recipe), folder=folder, weights=None)
