"""TensorRT: an exported file compiled for one NVIDIA GPU.

**This has never run on a GPU in this project.** It follows NVIDIA's documentation of TensorRT 10
and 11 (Python API, and the guide from 10 to 11); tests drive it through a stand-in.

It takes the precision from the graph: an fp16 file (`half`) or an int8 file with symmetric scales
(`quantize(…, symmetric=True)`). TensorRT itself either compiles the whole graph or refuses it, so
nothing can fall back to another engine. A compiled engine fits one kind of GPU and one version of
TensorRT; ours carries both in its first lines, and is refused elsewhere before it is loaded. An
engine file holds machine code: load none that you did not build.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cifar_lessons.deploy.model_file import About, ModelFile
from cifar_lessons.deploy.pixels import SIDE, Logits, Pixels, require_pixels
from cifar_lessons.errors import UserError

DEVICE = "cuda"
MAGIC = b"cifar-lessons engine 1\n"
SMALLEST, USUAL, LARGEST = 1, 1, 256  # batches; it is tuned for the usual one
AGAIN = "build it here with `cifar-lessons export RUN --engine`"


@dataclass(frozen=True)
class Place:
    """What an engine fits: a kind of GPU, its compute capability, a version of TensorRT."""

    gpu: str
    capability: str
    tensorrt: str

    def __str__(self) -> str:
        """Say it in a phrase."""
        return f"{self.gpu} (compute {self.capability}) with TensorRT {self.tensorrt}"


@dataclass(frozen=True)
class Engine:
    """A compiled model: TensorRT's own bytes, what it was made of, and where it runs."""

    plan: bytes
    about: About
    place: Place

    def to_bytes(self) -> bytes:
        """Return the file: a line that says what it is, a line of JSON, and the plan."""
        facts = json.dumps({"about": asdict(self.about), "place": asdict(self.place)})
        return MAGIC + facts.encode() + b"\n" + self.plan


def read_engine(path: Path) -> Engine:
    """Return an engine from a file.

    Raises:
        UserError: No file, or one that we did not write.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}); {AGAIN}") from None
    facts, _, plan = content.removeprefix(MAGIC).partition(b"\n")
    try:
        if not content.startswith(MAGIC) or not plan:
            raise ValueError("it does not begin as one")
        said = json.loads(facts)
        about = {**said["about"], "classes": tuple(said["about"]["classes"])}
        return Engine(plan, About(**about), Place(**said["place"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path.name} is damaged or no engine of ours ({error}); {AGAIN}") from None


def here() -> Place:
    """Return what engines that are built on this machine fit.

    Raises:
        UserError: There is no TensorRT, or no NVIDIA GPU that PyTorch can use.
    """
    trt = _tensorrt()
    if not torch.cuda.is_available():
        raise UserError(
            "TensorRT needs an NVIDIA GPU that PyTorch can use, and there is none here; on a CPU "
            "take ONNX Runtime: `cifar-lessons export RUN --int8`"
        )
    major, minor = torch.cuda.get_device_capability()
    return Place(torch.cuda.get_device_name(), f"{major}.{minor}", str(trt.__version__))


def build(model: ModelFile) -> Engine:
    """Return a model compiled for the GPU of this machine; it takes minutes.

    Args:
        model: In fp32, in fp16, or in int8 with symmetric scales.

    Raises:
        UserError: No GPU, no TensorRT, scales with zero points, or a graph that it can't compile.
    """
    place, trt = here(), _tensorrt()
    _require_symmetric(model)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    # TensorRT 11 takes every network at its word on types; TensorRT 10 has to be asked to.
    strongly_typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(strongly_typed)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.content):
        why = str(parser.get_error(0).desc()) if parser.num_errors else "no reason given"
        raise UserError(f"TensorRT cannot read {model.about.name}: {why.strip().splitlines()[0]}")
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    shapes = [(batch, SIDE, SIDE, 3) for batch in (SMALLEST, USUAL, LARGEST)]
    profile.set_shape("pixels", *shapes)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise UserError(f"TensorRT could not build {model.about.name}; its log says why")
    return Engine(bytes(plan), model.about, place)


class TensorRt:
    """TensorRT on a built engine."""

    def __init__(self, engine: Engine) -> None:
        """Load an engine.

        Raises:
            UserError: It was built for another GPU or another TensorRT, or it is damaged.
        """
        found, trt = here(), _tensorrt()
        name = f"the engine of {engine.about.name}"
        if engine.place != found:
            raise UserError(f"{name} is for {engine.place}, and here is {found}; {AGAIN}")
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))  # must outlive the engine
        self._engine = self._runtime.deserialize_cuda_engine(engine.plan)
        if self._engine is None:
            raise UserError(f"TensorRT refuses {name}: it is damaged; {AGAIN}")
        self._context = self._engine.create_execution_context()
        self._stream: Any = _stream()
        self._classes = len(engine.about.classes)

    def __call__(self, pixels: Pixels) -> Logits:
        """Return logits; see `backends.Backend`. At most `LARGEST` images."""
        if len(require_pixels(pixels)) > LARGEST:
            raise UserError(f"the engine takes up to {LARGEST} images at once, got {len(pixels)}")
        with torch.cuda.stream(self._stream):
            images = torch.from_numpy(pixels).to(DEVICE).contiguous()  # its address is given
            outputs = {
                name: torch.empty(len(pixels), self._classes, device=DEVICE)
                for name in ("logits", "probabilities")
            }
            ready = self._context.set_input_shape("pixels", tuple(images.shape))
            for name, tensor in {"pixels": images, **outputs}.items():
                ready = self._context.set_tensor_address(name, tensor.data_ptr()) and ready
            if not ready or not self._context.execute_async_v3(self._stream.cuda_stream):
                raise UserError(f"TensorRT did not run a batch of {len(pixels)}; its log says why")
            self._stream.synchronize()
            return np.asarray(outputs["logits"].cpu().numpy())


def _tensorrt() -> Any:
    """Return NVIDIA's module, or raise a `UserError` that names the extra."""
    try:
        import tensorrt
    except ImportError:
        raise UserError(
            "TensorRT is not installed; on a machine with an NVIDIA GPU: "
            "`pip install 'cifar-lessons[tensorrt]'`"
        ) from None
    return tensorrt


def _stream() -> Any:
    return torch.cuda.Stream()


def _require_symmetric(model: ModelFile) -> None:
    """Raise a `UserError` for scales with zero points, which TensorRT does not know."""
    import onnx

    graph = onnx.load_from_string(model.content).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    quantised = [n for n in graph.node if n.op_type == "QuantizeLinear" and len(n.input) > 2]
    if any(types.get(node.input[2]) == onnx.TensorProto.UINT8 for node in quantised):
        raise UserError(
            f"{model.about.name} was quantised for CPUs, with zero points that TensorRT does not "
            "know; quantise the fp32 file with symmetric=True"
        )
