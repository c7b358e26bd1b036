"""Eight bits in place of 32: a quarter of the size, and faster where a CPU has instructions for it.

Weights and activations become integers times a scale (Jacob et al. 2018, arXiv:1712.05877). A
weight's scale is known, one for each output channel; an activation's is measured on some training
images. Normalisation, the last linear layer and the softmax stay in float32: a logit in 256 steps
would make probabilities jump, and that layer costs next to nothing.

Weights use seven of their eight bits. An x86 processor without VNNI multiplies activations of up
to 255 with weights two at a time, and adds the two products in 16 bits: 2 * 255 * 127 does not fit
and is cut off without a word, 2 * 255 * 64 does. So a file answers alike on every processor.
"""

import contextlib
import dataclasses
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cifar_lessons.deploy.model_file import ModelFile, check_model, sign
from cifar_lessons.deploy.pixels import Pixels, require_pixels
from cifar_lessons.errors import UserError

LINEAR = ("Gemm", "MatMul")
QUANTISED = ("Conv", "Add", "Relu", "Clip", "MaxPool", "ReduceMean", "GlobalAveragePool", *LINEAR)
BATCH = 100
FEWEST = 100  # calibration images
LARGEST_WEIGHT = 64  # in whole steps, where activations have no sign


def quantize(model: ModelFile, calibration: Pixels, *, symmetric: bool = False) -> ModelFile:
    """Return the int8 version of an exported fp32 model.

    Args:
        model: From `export`.
        calibration: Training images, (N, 32, 32, 3), N >= 100; some hundred are enough. Their
            smallest and largest activations set the scales.
        symmetric: No zero points, and biases in float: what TensorRT asks for. An activation that
            is never negative then uses half of the 256 steps.

    Raises:
        UserError: The model is quantised already, or there are too few images.
    """
    if model.about.precision != "fp32":
        raise UserError(
            f"{model.about.name} is {model.about.precision} already; give the fp32 file"
        )
    if len(require_pixels(calibration)) < FEWEST:
        raise UserError(
            f"calibration needs at least {FEWEST} training images, got {len(calibration)}; fetch "
            "the data with `cifar-lessons data`"
        )
    import onnx
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands out the calibration images in batches."""

        def __init__(self) -> None:
            batches = np.array_split(calibration, -(-len(calibration) // BATCH))
            self._left = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._left, None)
            return None if batch is None else {"pixels": batch}

    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, ready, small = (
            Path(folder) / f"{name}.onnx" for name in ("plain", "ready", "small")
        )
        plain.write_bytes(model.content)
        quant_pre_process(plain, ready, skip_symbolic_shape=True)
        linear = [node.name for node in onnx.load(ready).graph.node if node.op_type in LINEAR]
        quantize_static(
            ready,
            small,
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=linear[-1:],  # the head
            per_channel=True,
            # To LARGEST_WEIGHT. Signed activations, as TensorRT wants them, need no such room.
            reduce_range=not symmetric,
            activation_type=QuantType.QInt8 if symmetric else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"ActivationSymmetric": symmetric, "QuantizeBias": not symmetric},
        )
        graph = onnx.load(small)
    about = dataclasses.replace(model.about, precision="int8")
    return check_model(sign(graph, about), about.name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantiser's advice to itself: it asks for the step that is done here."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(before)
