"""An ONNX file of ours: what stands in it beside the graph, and the checks before it is run.

A file may come from anywhere. It is parsed as data, must name its classes and normalise by itself,
and may not point to other files.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_lessons.errors import UserError

if TYPE_CHECKING:
    import onnx

KEY = "cifar_lessons"  # of the metadata that makes a file ours
FORMAT = 1


@dataclass(frozen=True)
class About:
    """What a deployed model says about itself.

    Attributes:
        name: The recipe and key of the run, such as `resnet18 seed0`.
        classes: Names, in the order of the logits.
        weights: sha256 of the weights that were exported; empty where nobody said.
        precision: fp32, fp16 or int8.
        test_accuracy: A fraction; of the run, before any quantisation. None: not known.
        scored_on: Which images that accuracy is of, test or validation.
    """

    name: str
    classes: tuple[str, ...]
    weights: str = ""
    precision: str = "fp32"
    test_accuracy: float | None = None
    scored_on: str = "test"

    @property
    def scored(self) -> str:
        """Return how good it is known to be, such as `test accuracy 87.35 %`."""
        if self.test_accuracy is None:
            return "accuracy not known"
        return f"{self.scored_on} accuracy {100 * self.test_accuracy:.2f} %"


@dataclass(frozen=True)
class ModelFile:
    """A checked file: its bytes, and what it says about itself."""

    content: bytes
    about: About

    @property
    def sha256(self) -> str:
        """Return the sha256 of the bytes."""
        return hashlib.sha256(self.content).hexdigest()


def sign(model: "onnx.ModelProto", about: About) -> bytes:
    """Return the file of a graph together with what it is."""
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key = KEY
    entry.value = json.dumps({"format": FORMAT, **vars(about)}, sort_keys=True)
    return bytes(model.SerializeToString())


def read_model(path: Path | str) -> ModelFile:
    """Return an exported model.

    Raises:
        UserError: No file, a damaged one, or one that `cifar-lessons export` did not write.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {path} ({error.strerror}); `cifar-lessons export RUN` makes such a file"
        ) from None
    return check_model(content, path.name)


def check_model(content: bytes, name: str) -> ModelFile:
    """Return the bytes of an exported model, checked; `name` is for messages.

    Raises:
        UserError: See `read_model`.
    """
    import onnx
    from google.protobuf.message import DecodeError

    again = "export it again with `cifar-lessons export RUN`"
    try:
        model = onnx.load_from_string(content)
        if not model.graph.node:
            raise ValueError("it holds no graph")
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{name} is damaged or no ONNX file ({reason}); {again}") from None
    facts = {entry.key: entry.value for entry in model.metadata_props}.get(KEY)
    if facts is None:
        raise UserError(
            f"{name} is an ONNX file of another program: its pixels, classes and normalisation "
            f"are unknown; {again}"
        )
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer):
        raise UserError(f"{name} keeps weights in other files, which are not read; {again}")
    try:
        fields = json.loads(facts)
        if fields.pop("format") != FORMAT:
            raise ValueError("another version of the format")
        fields["classes"] = tuple(fields["classes"])
        about = About(**fields)
        _require_sound(about)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{name} says nothing usable about itself ({error}); {again}") from None
    if wrong := _unlike_ours(model.graph, len(about.classes)):
        raise UserError(f"{name} has {wrong}, not ours; {again}")
    return ModelFile(content, about)


def _require_sound(about: About) -> None:
    """Raise `ValueError` for facts of a wrong kind."""
    texts = (about.name, about.weights, about.precision, about.scored_on, *about.classes)
    if not about.classes or not all(isinstance(text, str) for text in texts):
        raise ValueError("its name, classes, weights and precision must be text")
    accuracy = about.test_accuracy
    if accuracy is not None and not (isinstance(accuracy, int | float) and 0 <= accuracy <= 1):
        raise ValueError(f"its accuracy must be in [0, 1], got {accuracy!r}")


def _unlike_ours(graph: "onnx.GraphProto", classes: int) -> str:
    """Return which input or output is another than `export` writes, or nothing."""
    from onnx import TensorProto

    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    shapes = {
        (value.name, value.type.tensor_type.elem_type): [
            side.dim_value if side.HasField("dim_value") else None
            for side in value.type.tensor_type.shape.dim
        ]
        for value in (*inputs, *graph.output)
    }
    wanted: dict[tuple[str, int], list[int | None]] = {
        ("pixels", TensorProto.UINT8): [None, 32, 32, 3],
        ("logits", TensorProto.FLOAT): [None, classes],
        ("probabilities", TensorProto.FLOAT): [None, classes],
    }
    if shapes == wanted:
        return ""
    got = ", ".join(f"{name} {shape}" for (name, _), shape in shapes.items())
    return f"other inputs and outputs ({got})"
