"""Mirrors cifar_lessons/deploy/any_size.py: the graph sees what Pillow and `predict` see."""

import dataclasses

import numpy as np
import onnx
import pytest
from PIL import Image

from cifar_lessons.data.picture import read_picture
from cifar_lessons.deploy.any_size import any_size, runner
from cifar_lessons.deploy.backends import OnnxRuntime
from cifar_lessons.deploy.demo_samples import png
from cifar_lessons.deploy.model_file import sign
from cifar_lessons.deploy.quantize import quantize
from cifar_lessons.errors import UserError

from .conftest import ABOUT

SIZES = [(32, 32), (33, 100), (64, 40), (48, 48), (480, 640), (17, 23), (1, 1), (1, 50), (31, 32)]


@pytest.fixture(scope="module")
def ask(exported):
    return runner(any_size(exported))


def picture(height: int, width: int) -> np.ndarray:
    """Soft blobs with noise on them: edges in every place."""
    rng = np.random.default_rng([height, width])
    small = rng.integers(0, 256, (max(2, height // 9), max(2, width // 9), 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(small).resize((width, height))).astype(int)
    return (soft + rng.integers(-20, 21, soft.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[1]}x{s[0]}")
def test_the_graph_shrinks_as_predict_does(ask, tmp_path, size):
    given = picture(*size)
    (tmp_path / "a.png").write_bytes(png(given))
    expected = read_picture(tmp_path / "a.png")[0].permute(1, 2, 0).numpy().astype(int)
    off = np.abs(ask(given).seen - expected)
    assert off.max() <= 1, f"{(off > 0).mean():.2%} of the values are off"
    assert (off > 0).mean() < 0.01


def test_32_by_32_reaches_the_network_as_it_is(ask, exported, images):
    logits, probabilities = OnnxRuntime(exported).both(images[:20])
    for k, image in enumerate(images[:20]):
        answer = ask(image)
        np.testing.assert_array_equal(answer.seen, image)
        np.testing.assert_allclose(answer.logits, logits[k], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(answer.probabilities, probabilities[k], rtol=1e-5, atol=1e-6)


def test_what_is_cut_off_changes_nothing(ask):
    square = picture(60, 60)
    for ends in (0, 255):
        wide = np.full((60, 100, 3), ends, np.uint8)
        wide[:, 20:80] = square
        np.testing.assert_array_equal(ask(wide).seen, ask(square).seen)


def test_an_int8_model_gets_the_same_front(exported, images):
    small = quantize(exported, images)
    given = picture(70, 50)
    ask = runner(any_size(small))
    np.testing.assert_array_equal(ask(given).seen, runner(any_size(exported))(given).seen)
    assert ask(given).probabilities.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shape", [(32, 32), (0, 5, 3), (5, 5, 4)])
def test_what_is_no_picture_is_refused(ask, shape):
    with pytest.raises(ValueError, match=r"a picture must be \(H, W, 3\), got \("):
        ask(np.zeros(shape, np.uint8))


def changed(exported, change) -> object:
    model = onnx.load_from_string(exported.content)
    change(model)
    return dataclasses.replace(exported, content=sign(model, ABOUT))


def as_floats(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


def oblong(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 64


def another_name(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "image"


def old(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 17


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (as_floats, r"tiny seed0 takes pixels \[0, 32, 32, 3\], and 8-bit pixels"),
        (oblong, r"takes pixels \[0, 64, 32, 3\]"),
        (another_name, "takes image"),
        (old, "has opset 17, and shrinking needs 18; export it again with"),
    ],
)
def test_a_model_of_another_kind_is_refused(exported, change, words):
    with pytest.raises(UserError, match=words):
        any_size(changed(exported, change))
