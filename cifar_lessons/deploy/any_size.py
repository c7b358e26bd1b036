"""A graph in front of an exported network that cuts and shrinks a picture of any size.

So whoever runs the file, a browser or Python, hands over raw pixels and cannot shrink them in
another way than the rest. It does what `data.picture.read_picture` does: the longer side is cut to
the shorter one, and the square is shrunk by a bicubic filter as wide as the step between pixels.
ONNX has that since opset 18 (`antialias`), and ONNX Runtime computes it with Pillow's own
arithmetic on whole numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cifar_lessons.deploy.model_file import ModelFile
from cifar_lessons.deploy.pixels import Logits, Pixels
from cifar_lessons.errors import UserError

if TYPE_CHECKING:
    import onnx

FEWEST_OPSET = 18  # antialias


@dataclass(frozen=True)
class Answer:
    """What a network says of one picture.

    Attributes:
        logits: (K,).
        probabilities: (K,).
        seen: What was left of the picture, (32, 32, 3) uint8.
    """

    logits: Logits
    probabilities: Logits
    seen: Pixels


def any_size(model: ModelFile) -> bytes:
    """Return an ONNX file that takes one picture: `picture` (H, W, 3) uint8, H and W >= 1.

    Its outputs are `logits` and `probabilities`, (1, K), and `seen`, (1, 32, 32, 3) uint8. A
    picture of 32 by 32 pixels reaches the network as it is.

    Args:
        model: From `export`, `quantize` or `read_model`; it takes batches of 32 by 32 pixels.

    Raises:
        UserError: Its input is of another kind.
    """
    import onnx
    from onnx import helper, numpy_helper

    graph_of = onnx.load_from_string(model.content)
    graph = graph_of.graph
    side = _side(graph_of, model.about.name)

    def whole(name: str, *values: int) -> "onnx.TensorProto":
        return numpy_helper.from_array(np.array(values, np.int64), f"picture/{name}")

    nodes: list[onnx.NodeProto] = []

    def add(kind: str, inputs: str, output: str, **options: Any) -> None:
        names = [name if name in ("picture", "") else f"picture/{name}" for name in inputs.split()]
        made = output if output in ("pixels", "seen") else f"picture/{output}"
        nodes.append(helper.make_node(kind, names, [made], name=f"picture/{output}", **options))

    add("Shape", "picture", "size", start=0, end=2)
    add("ReduceMin", "size", "side", keepdims=1)
    add("Sub", "size side", "surplus")
    add("Div", "surplus two", "start")
    add("Add", "start side", "end")
    add("Slice", "picture start end axes", "square")
    add("Unsqueeze", "square first", "batch")
    add("Transpose", "batch", "planes", perm=[0, 3, 1, 2])
    # Neither a region nor factors: an input that is left out has an empty name.
    nodes.append(
        helper.make_node(
            "Resize",
            ["picture/planes", "", "", "picture/sizes"],
            ["picture/small"],
            name="picture/small",
            mode="cubic",
            cubic_coeff_a=-0.5,  # Pillow's
            antialias=1,
            exclude_outside=1,  # at the border too, the weights of what is there sum to 1
        )
    )
    add("Transpose", "small", "pixels", perm=[0, 2, 3, 1])
    # A graph's input cannot be its output, so what is shown is a copy.
    nodes.append(helper.make_node("Identity", ["pixels"], ["seen"], name="picture/seen"))

    old = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *old])
    constants = [whole("two", 2), whole("axes", 0, 1), whole("first", 0)]
    graph.initializer.extend([*constants, whole("sizes", 1, 3, side, side)])
    del graph.input[:]
    byte = onnx.TensorProto.UINT8
    graph.input.append(helper.make_tensor_value_info("picture", byte, ["height", "width", 3]))
    graph.output.append(helper.make_tensor_value_info("seen", byte, [1, side, side, 3]))
    del graph_of.metadata_props[:]  # it is no file for `read_model` any more
    onnx.checker.check_model(graph_of)
    return bytes(graph_of.SerializeToString())


def _side(model: "onnx.ModelProto", name: str) -> int:
    """Return the side of the square that a model takes, in pixels."""
    import onnx

    inputs = {i.name: i.type.tensor_type for i in model.graph.input}
    kind = inputs.get("pixels")
    shape = [d.dim_value for d in kind.shape.dim] if kind else []
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    square = len(shape) == 4 and shape[0] == 0 and shape[1] == shape[2] > 0 and shape[3] == 3
    if not square or kind is None or kind.elem_type != onnx.TensorProto.UINT8 or len(inputs) != 1:
        raise UserError(
            f"{name} takes {', '.join(inputs) or 'nothing'} {shape}, and 8-bit pixels (B, N, N, 3) "
            "are needed; export it again with `cifar-lessons export RUN`"
        )
    if opset < FEWEST_OPSET:
        raise UserError(
            f"{name} has opset {opset}, and shrinking needs {FEWEST_OPSET}; export it again with "
            "`cifar-lessons export RUN`"
        )
    return int(shape[1])


def runner(content: bytes) -> Callable[[npt.NDArray[np.uint8]], Answer]:
    """Return a function that asks a file of `any_size`, in Python's ONNX Runtime on one thread.

    Args:
        content: Of the file. The function takes one picture, (H, W, 3) uint8.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def ask(picture: npt.NDArray[np.uint8]) -> Answer:
        if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
            raise ValueError(f"a picture must be (H, W, 3), got {picture.shape}; give one of them")
        names = [field.name for field in fields(Answer)]
        return Answer(*(np.asarray(o[0]) for o in session.run(names, {"picture": picture})))

    return ask
