"""A small trained-looking network and its exported file, shared: exporting takes seconds."""

import numpy as np
import pytest
import torch

from cifar_lessons.config import DataConfig
from cifar_lessons.deploy.export import export
from cifar_lessons.deploy.model_file import About, ModelFile
from cifar_lessons.models import build_model

ABOUT = About("tiny seed0", tuple("abcdefghij"), "f" * 64, "fp32", 0.5)
DATA = DataConfig(mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (120, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def network() -> torch.nn.Module:
    """With batch norm whose running statistics are not those of a new one."""
    torch.manual_seed(0)
    model = build_model("resnet18", width=4)
    with torch.no_grad():
        for _ in range(20):
            model.train()(torch.randn(16, 3, 32, 32))
    return model.eval()


@pytest.fixture(scope="session")
def exported(network, images) -> ModelFile:
    made, _ = export(network, DATA, about=ABOUT, images=images)
    return made
