"""A small trained-looking network and its exported file, shared: exporting takes seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import CHROMIUM, NO_BROWSER

from cifar_lessons.config import DataConfig
from cifar_lessons.deploy import chromium, demo
from cifar_lessons.deploy.demo_samples import png
from cifar_lessons.deploy.export import export
from cifar_lessons.deploy.model_file import About, ModelFile
from cifar_lessons.errors import UserError
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


# --- a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def runtime_folder() -> Path:
    """The folder with onnxruntime-web's files; a test that wants it is skipped without it."""
    try:
        return demo.find_runtime()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def chrome() -> Iterator[Any]:
    """A Chromium with a made-up camera; a test that wants it is skipped without one."""
    if CHROMIUM is None:
        pytest.skip(NO_BROWSER)
    with chromium.launched(["--use-fake-device-for-media-stream"]) as browser:
        yield browser


@pytest.fixture
def opened(chrome: Any) -> Iterator[Any]:
    """Return `(address, **of the context) -> tab`; the test fails if anything goes wrong in one.

    The tabs reach this machine alone. Tests that share a busy machine wait long.
    """
    contexts, trouble = [], []

    def open_page(address: str, *, script: str = "", camera: bool = False, **options: Any) -> Any:
        context = chrome.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(120_000)
        # Granting one permission refuses all others.
        context.grant_permissions(["camera" if camera else "clipboard-write"])
        chromium.cut_off(context, trouble)
        if script:
            context.add_init_script(script)
        tab = context.new_page()
        chromium.watch(tab, trouble)
        tab.goto(address)
        tab.locator(".cl-drop").wait_for()
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


@pytest.fixture(scope="session")
def site(exported, runtime_folder, tmp_path_factory) -> Iterator[str]:
    """The address of a demo of the tiny network, with two samples."""
    folder = tmp_path_factory.mktemp("site")
    pictures = [(f"sample {k}", png(np.full((40, 60, 3), 60 * k, np.uint8))) for k in (1, 2)]
    offered = [demo.Samples("Two samples", pictures)]
    demo.write_folder(exported, folder, runtime=runtime_folder, samples=offered)
    with chromium.served(folder) as address:
        yield address
