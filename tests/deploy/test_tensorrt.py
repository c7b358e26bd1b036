"""Mirrors cifar_lessons/deploy/tensorrt.py: on a CPU, with a stand-in for NVIDIA's module.

The stand-in's plan is the ONNX file itself, and its context runs it with ONNX Runtime between the
addresses that it was given. So what is proved is the sequence of calls, shapes and memory; that
TensorRT compiles the graph is not.
"""

import builtins
import ctypes
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cifar_lessons.deploy import tensorrt
from cifar_lessons.deploy.backends import OnnxRuntime
from cifar_lessons.deploy.quantize import quantize
from cifar_lessons.deploy.tensorrt import Engine, Place, TensorRt, build, read_engine
from cifar_lessons.errors import UserError

STREAM = 7


def array(address: int, shape: tuple[int, ...], kind: type) -> np.ndarray:
    """View memory at an address."""
    size = int(np.prod(shape))
    return np.ctypeslib.as_array((kind * size).from_address(address)).reshape(shape)


class Context:
    def __init__(self, plan: bytes, model) -> None:
        self.session, self.addresses, self.shape = OnnxRuntime(model(plan)), {}, ()
        self.broken = plan.endswith(b"!")

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name == "pixels"
        assert isinstance(shape, tuple)
        self.shape = shape
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == STREAM
        if self.broken:
            return False
        found = self.session.both(array(self.addresses["pixels"], self.shape, ctypes.c_uint8))
        for name, values in zip(("logits", "probabilities"), found, strict=True):
            array(self.addresses[name], values.shape, ctypes.c_float)[:] = values
        return True


class Parser:
    def __init__(self, network, logger) -> None:
        self.network, self.num_errors = network, 0

    def parse(self, content: bytes) -> bool:
        self.network.content = content
        self.num_errors = int(b"no engine for me" in content)
        return not self.num_errors

    def get_error(self, index: int):
        return SimpleNamespace(desc=lambda: "node 3 is unknown\nand more")


@pytest.fixture
def nvidia(monkeypatch, exported):
    """A machine with a GPU and TensorRT, as far as anybody asks."""
    from cifar_lessons.deploy.model_file import check_model

    asked = SimpleNamespace(flags=None, shapes=None, profiles=[])

    class Builder:
        def __init__(self, logger) -> None: ...

        def create_network(self, flags: int):
            asked.flags = flags
            return SimpleNamespace(content=b"")

        def create_builder_config(self):
            return SimpleNamespace(add_optimization_profile=asked.profiles.append)

        def create_optimization_profile(self):
            def set_shape(name, *shapes):
                asked.shapes = (name, *shapes)

            return SimpleNamespace(set_shape=set_shape)

        def build_serialized_network(self, network, config):
            return bytearray(network.content) or None

    class Runtime:
        def __init__(self, logger) -> None: ...

        def deserialize_cuda_engine(self, plan: bytes):
            if plan == b"damaged":
                return None
            return SimpleNamespace(
                create_execution_context=lambda: Context(
                    plan, lambda p: check_model(p.removesuffix(b"!"), "plan")
                )
            )

    logger = type("Logger", (), {"ERROR": 1, "__init__": lambda self, level: None})
    module = SimpleNamespace(
        __version__="11.4.0",
        Logger=logger,
        Builder=Builder,
        OnnxParser=Parser,
        Runtime=Runtime,
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=0),
    )
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    stream = SimpleNamespace(cuda_stream=STREAM, synchronize=lambda: None)
    monkeypatch.setattr(tensorrt, "_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: torch.inference_mode())
    monkeypatch.setattr(tensorrt, "DEVICE", "cpu")
    return asked


def test_an_engine_gives_the_files_answers_at_any_batch(nvidia, exported, images):
    backend = TensorRt(build(exported))
    for count in (1, 3, 120):
        expected = OnnxRuntime(exported)(images[:count])
        np.testing.assert_allclose(backend(images[:count]), expected, atol=1e-5)
    assert nvidia.flags == 1  # strongly typed: bit 0
    one = (1, 32, 32, 3)
    assert nvidia.shapes == ("pixels", one, one, (256, 32, 32, 3))
    assert len(nvidia.profiles) == 1


def test_a_file_is_read_as_it_was_written(nvidia, exported, tmp_path):
    engine = build(exported)
    path = tmp_path / "tiny.engine"
    path.write_bytes(engine.to_bytes())
    assert read_engine(path) == engine
    assert engine.place == Place("A GPU", "9.0", "11.4.0")


@pytest.mark.parametrize(
    "place", [Place("Another", "9.0", "11.4.0"), Place("A GPU", "8.9", "11.4.0"),
              Place("A GPU", "9.0", "10.9.0")]
)  # fmt: skip
def test_an_engine_of_another_gpu_or_version_is_one_line(nvidia, exported, place):
    with pytest.raises(UserError) as caught:
        TensorRt(Engine(b"never loaded", exported.about, place))
    assert str(caught.value) == (
        f"the engine of tiny seed0 is for {place}, and here is A GPU (compute 9.0) with TensorRT "
        "11.4.0; build it here with `cifar-lessons export RUN --engine`"
    )


def test_int8_must_be_symmetric(nvidia, exported, images):
    with pytest.raises(UserError, match="with zero points that TensorRT does not know"):
        build(quantize(exported, images))
    build(quantize(exported, images, symmetric=True))


def test_what_does_not_run_is_an_error_and_nothing_else_runs_in_its_place(nvidia, exported, images):
    good = build(exported)
    with pytest.raises(UserError, match="TensorRT refuses the engine of tiny seed0: it is damaged"):
        TensorRt(Engine(b"damaged", good.about, good.place))
    broken = TensorRt(Engine(good.plan + b"!", good.about, good.place))
    with pytest.raises(UserError, match="TensorRT did not run a batch of 2"):
        broken(images[:2])
    with pytest.raises(UserError, match="takes up to 256 images at once, got 300"):
        TensorRt(good)(np.zeros((300, 32, 32, 3), np.uint8))
    with pytest.raises(UserError, match="pixels must be uint8"):
        TensorRt(good)(images.astype(np.float32))


def test_a_graph_that_it_cannot_read_is_one_line(nvidia, exported):
    # The parser of the stand-in knows this word; the check before it reads a real graph.
    import onnx

    from cifar_lessons.deploy.model_file import ModelFile

    graph = onnx.load_from_string(exported.content)
    graph.doc_string = "no engine for me"
    with pytest.raises(UserError, match=r"TensorRT cannot read tiny seed0: node 3 is unknown$"):
        build(ModelFile(graph.SerializeToString(), exported.about))


@pytest.mark.parametrize(
    "content",
    [b"", b"no engine", tensorrt.MAGIC, tensorrt.MAGIC + b"{}\nplan", tensorrt.MAGIC + b"[\nplan"],
)
def test_a_file_that_is_no_engine_of_ours_is_one_line(content, tmp_path):
    path = tmp_path / "x.engine"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.engine is damaged or no engine of ours") as caught:
        read_engine(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot read"):
        read_engine(tmp_path / "none.engine")


def test_without_the_package_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "tensorrt":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'cifar-lessons\[tensorrt\]'"):
        tensorrt.here()


def test_without_a_gpu_the_cpus_way_is_named(nvidia, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"needs an NVIDIA GPU .* take ONNX Runtime"):
        tensorrt.here()
