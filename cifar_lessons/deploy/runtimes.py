"""The ways to run a network that `bench latency` compares, and how each of them is opened.

This module imports no torch before it opens one.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cifar_lessons.deploy.backends import Backend

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Way:
    """One way to run a network.

    Attributes:
        label: For tables and figures.
        file: What it opens: `weights` (PyTorch), or an exported file in that precision.
        device: Where it computes.
    """

    label: str
    file: str
    device: Device = "cpu"


WAYS = {
    "eager": Way("PyTorch eager, fp32", "weights"),
    "eager_bf16": Way("PyTorch eager, bf16", "weights"),
    "ort": Way("ONNX Runtime, fp32", "fp32"),
    "ort_int8": Way("ONNX Runtime, int8", "int8"),
    # On an NVIDIA GPU; these have never run in this project.
    "eager_cuda": Way("PyTorch eager, fp32, GPU", "weights", "cuda"),
    "ort_cuda": Way("ONNX Runtime, fp32, GPU", "fp32", "cuda"),
    "tensorrt_fp16": Way("TensorRT, fp16", "fp16", "cuda"),
    "tensorrt_int8": Way("TensorRT, int8", "int8_symmetric", "cuda"),
}
BASE: dict[Device, str] = {"cpu": "eager", "cuda": "eager_cuda"}


def base_of(way: str) -> str:
    """Return the way that another one is compared with: eager fp32 on the same device."""
    return BASE[WAYS[way].device]


def write_network(folder: Path, network: Any, about: dict[str, Any]) -> None:
    """Write a network for `open_way`: its weights, and how to build it.

    Args:
        folder: Gets `weights.safetensors` and `network.json`.
        network: A classifier on the CPU.
        about: `model` and `options` for `build_model`, `classes`, and `mean` and `std` of the
            training data.
    """
    from safetensors.torch import save_file

    save_file({k: v.contiguous() for k, v in network.state_dict().items()},
              folder / "weights.safetensors")  # fmt: skip
    (folder / "network.json").write_text(json.dumps(about))


def open_way(way: str, folder: Path, *, threads: int) -> "Backend":
    """Return an engine, ready to run.

    Args:
        way: A key of `WAYS`.
        folder: Holds `weights.safetensors` and `network.json`, or `fp32.onnx` and its like.
        threads: Of the CPU; the same number for every engine.

    Raises:
        UserError: The engine or its device is not here.
    """
    import torch

    from cifar_lessons.deploy.backends import OnnxRuntime
    from cifar_lessons.deploy.model_file import read_model
    from cifar_lessons.runtime import detect

    torch.set_num_threads(threads)
    found = WAYS[way]
    # Sets the CPU up as everywhere in this library, and on a GPU lets fp32 be fp32.
    detect(device="cuda" if found.device == "cuda" else "cpu", precision="fp32")
    if found.file == "weights":
        return _eager(way, folder)
    model = read_model(folder / f"{found.file}.onnx")
    if way.startswith("tensorrt"):
        from cifar_lessons.deploy.tensorrt import TensorRt, build

        return TensorRt(build(model))
    return OnnxRuntime(model, device=found.device, threads=threads)


def _eager(way: str, folder: Path) -> "Backend":
    from safetensors.torch import load_file

    from cifar_lessons.config import DataConfig
    from cifar_lessons.deploy.backends import Eager
    from cifar_lessons.models import build_model

    about = json.loads((folder / "network.json").read_text())
    network = build_model(about["model"], num_classes=about["classes"], **about["options"])
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    data = DataConfig(mean=tuple(about["mean"]), std=tuple(about["std"]))
    precision: Literal["fp32", "bf16"] = "bf16" if way.endswith("bf16") else "fp32"
    return Eager(network, data, precision=precision, device=WAYS[way].device)
