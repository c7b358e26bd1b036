"""Mirrors cifar_lessons/deploy/export.py."""

import onnx
import pytest
import torch
from torch import nn

from cifar_lessons.deploy.backends import Eager, OnnxRuntime
from cifar_lessons.deploy.export import Parity, compare, export
from cifar_lessons.errors import UserError

from .conftest import ABOUT, DATA


def test_the_file_gives_the_networks_answers_at_any_batch(network, exported, images):
    eager, runtime = Eager(network, DATA), OnnxRuntime(exported)
    for count in (1, 2, 7, 120):
        parity = compare(eager(images[:count]), runtime(images[:count]))
        assert parity.same == count
        assert parity.largest < 1e-4


def test_batch_norm_is_folded_and_pixels_come_in_as_they_are(exported):
    graph = onnx.load_from_string(exported.content).graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    [pixels] = graph.input
    assert pixels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_value for d in pixels.type.tensor_type.shape.dim] == [0, 32, 32, 3]
    assert [output.name for output in graph.output] == ["logits", "probabilities"]


def test_probabilities_are_those_of_the_logits(exported, images):
    logits, probabilities = OnnxRuntime(exported).both(images)
    expected = torch.from_numpy(logits).softmax(1)
    torch.testing.assert_close(torch.from_numpy(probabilities), expected)


def test_other_answers_than_the_networks_are_refused(network, images):
    """A tolerance that rounding alone breaks stands for an export that went wrong."""
    with pytest.raises(UserError, match=r"the exported tiny seed0 gives other answers \(.*1e-12"):
        export(network, DATA, about=ABOUT, images=images, tolerance=1e-12)


class Asks(nn.Module):
    """Looks at a number to decide what to compute: no graph can hold that."""

    def forward(self, x):
        if x.sum() > 0:
            return x.flatten(1)[:, :10]
        return -x.flatten(1)[:, :10]


def test_a_network_that_cannot_be_exported_is_one_line(images):
    with pytest.raises(UserError, match="tiny seed0 cannot be exported") as caught:
        export(Asks(), DATA, about=ABOUT, images=images)
    assert "\n" not in str(caught.value)


def test_parity_reads_as_a_line():
    assert str(Parity(1_000, 6.7e-6, 998)) == (
        "998 of 1,000 images with the same answer, logits differ by 6.7e-06 at most"
    )
