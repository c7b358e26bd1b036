"""Mirrors cifar_lessons/deploy/quantize.py."""

import logging

import numpy as np
import onnx
import pytest
import torch

from cifar_lessons.deploy.backends import OnnxRuntime
from cifar_lessons.deploy.export import export
from cifar_lessons.deploy.quantize import LARGEST_WEIGHT, quantize
from cifar_lessons.errors import UserError
from cifar_lessons.models import build_model

from .conftest import ABOUT, DATA


@pytest.fixture(scope="module")
def quantised(exported, images):
    return quantize(exported, images)


def test_weights_are_bytes_with_a_scale_for_each_output_channel(exported, quantised):
    graph = onnx.load_from_string(quantised.content).graph
    filters = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8]
    convolutions = [n for n in graph.node if n.op_type == "Conv"]
    assert len([t for t in filters if len(t.dims) == 4]) == len(convolutions) == 20
    sizes = {t.name: list(t.dims) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and len(sizes.get(node.input[0], [])) == 4:
            assert sizes[node.input[1]] == sizes[node.input[0]][:1]


def filters_of(model):
    """Return the whole numbers of all convolutions."""
    stored = onnx.load_from_string(model.content).graph.initializer
    arrays = [onnx.numpy_helper.to_array(t) for t in stored]
    return [a for a in arrays if a.dtype == np.int8 and a.ndim == 4]


def test_two_products_fit_into_sixteen_bits_on_processors_that_add_them_there(exported, images):
    """Else the sum is cut off in silence, and a network loses more than a point of accuracy."""
    assert 2 * 255 * LARGEST_WEIGHT < 2**15 <= 2 * 255 * 127
    largest = {
        symmetric: max(
            np.abs(w.astype(int)).max()
            for w in filters_of(quantize(exported, images, symmetric=symmetric))
        )
        for symmetric in (False, True)
    }
    # Signed activations reach half as far, so their weights may use all bits.
    assert largest == {False: LARGEST_WEIGHT, True: 127}


def test_answers_stay_near_and_the_file_says_int8(exported, quantised, images):
    plain, small = OnnxRuntime(exported)(images), OnnxRuntime(quantised)(images)
    spread = plain.std()
    assert 0 < np.abs(plain - small).max() < 0.5 * spread  # near, and not the same file
    assert quantised.about.precision == "int8"
    assert quantised.about.weights == exported.about.weights


def test_normalisation_head_and_softmax_stay_in_float(quantised):
    """What the head and the softmax take and give is no dequantised number but the head's input."""
    graph = onnx.load_from_string(quantised.content).graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    [head] = [n for n in graph.node if n.op_type == "Gemm"]
    [softmax] = [n for n in graph.node if n.op_type == "Softmax"]
    assert softmax.input[0] == head.output[0]
    assert {t.data_type for t in graph.initializer if t.name in head.input[1:]} == {1}  # float
    [first] = [n for n in graph.node if n.op_type == "Sub"]
    assert made_by[first.input[0]] == "Cast"


def test_a_linear_layer_before_the_head_is_quantised(images):
    """In SimpleCNN it holds nearly all weights."""
    torch.manual_seed(0)
    network = build_model("deep_cnn", widths=[4, 4, 4, 4], pools=4, hidden=12).eval()
    plain, _ = export(network, DATA, about=ABOUT, images=images)
    small = quantize(plain, images)
    graph = onnx.load_from_string(small.content).graph
    shapes = {t.data_type: [] for t in graph.initializer}
    for tensor in graph.initializer:
        shapes[tensor.data_type].append(sorted(tensor.dims))
    hidden = next(m for m in network.modules() if isinstance(m, torch.nn.Linear)).weight
    assert sorted(hidden.shape) in shapes[onnx.TensorProto.INT8]
    assert [10, 12] in shapes[onnx.TensorProto.FLOAT]
    exact, rounded = OnnxRuntime(plain)(images), OnnxRuntime(small)(images)
    assert np.abs(exact - rounded).max() < 0.5 * exact.std()


def test_twice_or_on_too_few_images_is_one_line(exported, quantised, images):
    with pytest.raises(UserError, match="tiny seed0 is int8 already"):
        quantize(quantised, images)
    with pytest.raises(UserError, match="at least 100 training images, got 20"):
        quantize(exported, images[:20])


def test_the_quantisers_advice_is_kept_back_and_logging_is_as_before(exported, images, caplog):
    before = logging.getLogger().level
    quantize(exported, images)
    assert logging.getLogger().level == before
    assert not caplog.records


def test_symmetric_scales_have_no_zero_points_and_biases_stay_in_float(exported, images):
    small = quantize(exported, images, symmetric=True)
    graph = onnx.load_from_string(small.content).graph
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = stored[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()
    assert onnx.TensorProto.INT32 not in {t.data_type for t in graph.initializer}
    plain = OnnxRuntime(exported)(images)
    assert np.abs(plain - OnnxRuntime(small)(images)).max() < 0.5 * plain.std()
