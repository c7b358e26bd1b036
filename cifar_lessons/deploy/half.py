"""Sixteen bits in place of 32, for GPUs: an exported file in fp16.

TensorRT 11 takes the precision from the graph (its switches for fp16 and int8 are gone), so the
graph must say fp16 itself. Normalisation and softmax are computed in float32, where small
differences and small probabilities are safe. On a CPU such a file runs, and gains nothing.
"""

import dataclasses

from cifar_lessons.deploy.model_file import ModelFile, check_model, sign
from cifar_lessons.errors import UserError

KEPT = ("Sub", "Mul", "Softmax")  # normalisation, and what makes probabilities


def half(model: ModelFile) -> ModelFile:
    """Return the fp16 version of an exported fp32 model: same input, same outputs in float32.

    Raises:
        UserError: The model is in another precision already.
    """
    if model.about.precision != "fp32":
        raise UserError(
            f"{model.about.name} is {model.about.precision} already; give the fp32 file"
        )
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    graph = convert_float_to_float16(
        onnx.load_from_string(model.content),
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *KEPT],
    )
    OnnxModel(graph).topological_sort()  # the converter puts its casts at the end
    about = dataclasses.replace(model.about, precision="fp16")
    return check_model(sign(graph, about), about.name)
