"""Mirrors cifar_lessons/deploy/model_file.py: a stranger's file is parsed, checked, and named."""

from dataclasses import replace

import onnx
import pytest

from cifar_lessons.deploy.model_file import KEY, check_model, read_model, sign
from cifar_lessons.errors import UserError

from .conftest import ABOUT


def test_a_file_says_what_it_is(exported, tmp_path):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(exported.content)
    found = read_model(path)
    assert found.about == ABOUT
    assert found.sha256 == exported.sha256


def stranger(exported) -> bytes:
    model = onnx.load_from_string(exported.content)
    del model.metadata_props[:]
    return model.SerializeToString()


def outside(exported) -> bytes:
    model = onnx.load_from_string(exported.content)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return model.SerializeToString()


def unsaid(exported) -> bytes:
    model = onnx.load_from_string(exported.content)
    for entry in model.metadata_props:
        if entry.key == KEY:
            entry.value = '{"format": 1, "classes": []}'
    return model.SerializeToString()


def said(exported, **other) -> bytes:
    """The same graph, which says something else about itself."""
    return sign(onnx.load_from_string(exported.content), replace(ABOUT, **other))


def one_image_alone(exported) -> bytes:
    model = onnx.load_from_string(exported.content)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: b"", "damaged or no ONNX file"),
        (lambda _: b"no protobuf at all", "damaged or no ONNX file"),
        (lambda e: e.content[: len(e.content) // 2], "damaged or no ONNX file"),
        (stranger, "is an ONNX file of another program"),
        (outside, r"other files|damaged or no ONNX file"),
        (unsaid, "says nothing usable about itself"),
        (lambda e: said(e, classes=()), "must be text"),
        (lambda e: said(e, test_accuracy="high"), r"accuracy must be in \[0, 1\], got 'high'"),
        (lambda e: said(e, classes=("a", "b")), "other inputs and outputs"),
        (one_image_alone, r"other inputs and outputs \(pixels \[1, 32, 32, 3\]"),
    ],
    ids=[
        *("empty", "text", "cut", "stranger", "outside", "unsaid", "no classes", "bad accuracy"),
        *("two classes", "one image"),
    ],
)
def test_what_is_no_model_of_ours_is_one_line(exported, make, message):
    with pytest.raises(UserError, match=message) as caught:
        check_model(make(exported), "x.onnx")
    assert str(caught.value).startswith("x.onnx ")
    assert "\n" not in str(caught.value)


def test_no_file_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match="`cifar-lessons export RUN` makes such a file"):
        read_model(tmp_path / "none.onnx")


def test_signing_again_leaves_one_signature(exported):
    model = onnx.load_from_string(exported.content)
    again = onnx.load_from_string(sign(model, ABOUT))
    assert [entry.key for entry in again.metadata_props] == [KEY]
