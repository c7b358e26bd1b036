"""Mirrors cifar_lessons/deploy/runtimes.py: every way of a CPU gives the network's answers."""

import numpy as np
import pytest

from cifar_lessons import runtime
from cifar_lessons.deploy.backends import Eager
from cifar_lessons.deploy.quantize import quantize
from cifar_lessons.deploy.runtimes import WAYS, base_of, open_way, write_network
from cifar_lessons.errors import UserError

from .conftest import DATA

ABOUT = {"model": "resnet18", "options": {"width": 4}, "classes": 10}
CPU = [way for way, how in WAYS.items() if how.device == "cpu"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, network, exported, images):
    found = tmp_path_factory.mktemp("files")
    write_network(found, network, {**ABOUT, "mean": DATA.mean, "std": DATA.std})
    (found / "fp32.onnx").write_bytes(exported.content)
    (found / "int8.onnx").write_bytes(quantize(exported, images).content)
    np.save(found / "pixels.npy", images)
    return found


@pytest.mark.parametrize("way", CPU)
def test_each_way_is_the_same_network(folder, network, images, way):
    exact = Eager(network, DATA)(images[:8])
    found = open_way(way, folder, threads=1)(images[:8])
    allowed = 1e-4 if way in ("eager", "ort") else 0.5 * exact.std()
    assert np.abs(found - exact).max() < allowed


def test_a_way_of_the_gpu_sets_the_gpu_up(folder, monkeypatch):
    """There fp32 would be less than fp32, and what is timed not what is scored."""

    def watched(*, device, precision):
        raise UserError(f"{precision} on {device}")

    monkeypatch.setattr(runtime, "detect", watched)
    with pytest.raises(UserError, match="fp32 on cuda"):
        open_way("eager_cuda", folder, threads=1)


def test_each_way_is_compared_with_eager_on_its_own_device():
    assert {base_of(way) for way in CPU} == {"eager"}
    assert base_of("tensorrt_fp16") == base_of("ort_cuda") == "eager_cuda"
