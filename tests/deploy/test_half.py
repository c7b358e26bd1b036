"""Mirrors cifar_lessons/deploy/half.py."""

import numpy as np
import onnx
import pytest

from cifar_lessons.deploy.backends import OnnxRuntime
from cifar_lessons.deploy.half import half
from cifar_lessons.errors import UserError


@pytest.fixture(scope="module")
def halved(exported):
    return half(exported)


def test_answers_stay_near_and_the_file_is_smaller(exported, halved, images):
    exact, rounded = OnnxRuntime(exported)(images), OnnxRuntime(halved)(images)
    assert rounded.dtype == np.float32
    assert 0 < np.abs(exact - rounded).max() < 0.02 * exact.std() + 0.01
    assert len(halved.content) < 0.75 * len(exported.content)
    assert halved.about.precision == "fp16"
    assert halved.about.weights == exported.about.weights


def test_convolutions_are_fp16_and_normalisation_and_softmax_are_not(halved):
    graph = onnx.load_from_string(halved.content).graph
    types = {t.name: t.data_type for t in graph.initializer}
    weights = {types[name] for n in graph.node if n.op_type == "Conv" for name in n.input[1:2]}
    assert weights == {onnx.TensorProto.FLOAT16}
    casts = {n.output[0]: n.attribute[0].i for n in graph.node if n.op_type == "Cast"}
    for node in graph.node:
        if node.op_type in ("Sub", "Softmax"):
            assert {casts[name] for name in node.input} == {onnx.TensorProto.FLOAT}


def test_twice_is_one_line(halved):
    with pytest.raises(UserError, match="tiny seed0 is fp16 already; give the fp32 file"):
        half(halved)
