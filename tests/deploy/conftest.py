"""A small trained-looking network and its exported file, shared: exporting takes seconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

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


def cell(model: str, batch: int = 1, threads: int = 1, **gains: float) -> dict:
    """An entry of a study in which eager fp32 takes 20 ms an image, and others so many times less.

    The rounds differ by a tenth either way.
    """
    ways, ratios = {}, {}
    for way, gain in {"eager": 1.0, **gains}.items():
        time = 0.02 * batch / gain
        ways[way] = {"p50": time, "p90": 1.2 * time, "p99": 2 * time, "mean": 1.1 * time}
        ways[way]["blocks"] = [time] * 10
        ratios[way] = {"ratio": gain, "low": 0.9 * gain, "high": 1.1 * gain}
    at = {"model": model, "batch": batch, "threads": threads, "load_average": [0.1, 0.2, 0.3]}
    return {**at, "calls": 200, "ways": ways, "ratios": ratios}


def latency_study(*cells: dict, lost: float = 0.002, device: str = "cpu") -> dict:
    """A study of these entries; int8 loses that share of accuracy; mobilenet_v2 is fresh."""
    ways = list(cells[0]["ways"])
    models = {}
    for name in dict.fromkeys(c["model"] for c in cells):
        fresh = name == "mobilenet_v2"
        scores = {}
        for way in () if fresh else ways:
            change = -lost if way == "ort_int8" else 0.0
            scores[way] = {"accuracy": 0.9 + change, "change": change}
            scores[way] |= {"low": change - 0.001 * (change < 0), "high": change}
        models[name] = {
            "recipe": name,
            "weights": "fresh" if fresh else "recorded",
            "parameters": 1_000,
            "bytes": dict.fromkeys(ways, 4_000_000),
            "scores": scores,
        }
    values = {
        "device_type": device,
        "device": "A device",
        "cores": 2,
        "ways": ways,
        "models": models,
        "cells": list(cells),
        "images": 10_000,
        "calibration": 1_000,
        "warm_up": 20,
        "quick": False,
        "synthetic": False,
        "seconds": 600.0,
    }
    provenance = {
        "device": "A device",
        "cores": 2,
        "threads": 2,
        "python": "3.11",
        "packages": {"torch": "2.14", "onnxruntime": "1.32"},
        "git_commit": "0123456789abcdef",
        "git_dirty": False,
        "started_at": "2026-11-25T00:00:00Z",
        "load_average": [0.1, 0.1, 0.1],
        "load_average_after": [1.0, 1.0, 1.0],
        "cores_busy_elsewhere": 0.02,
    }
    return {"values": values, "provenance": provenance}


# --- a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def runtime_folder() -> Path:
    """The folder with onnxruntime-web's files; a test that wants it is skipped without it."""
    try:
        return demo.find_runtime()
    except UserError as error:
        pytest.skip(str(error))


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
