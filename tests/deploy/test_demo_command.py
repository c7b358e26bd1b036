"""Mirrors cifar_lessons/deploy/demo_command.py: what is typed, and each mistake in one line."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from cifar_lessons.deploy import demo

from .test_demo import made_up_runtime


@pytest.fixture
def here(tmp_path, monkeypatch, exported):
    """A model and a runtime in the folder that the command is typed in."""
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "c" / "demo.py"))
    made_up_runtime(tmp_path / "node_modules" / "onnxruntime-web" / "dist")
    (tmp_path / "m.onnx").write_bytes(exported.content)
    return tmp_path


def test_it_writes_a_folder_and_says_how_to_serve_it(typed, here):
    picture = Image.new("RGB", (1500, 900), (1, 200, 3))
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned: it is meant to be seen 900 wide
    picture.save(here / "my <rose>.jpg", exif=exif)
    said = typed("demo", "m.onnx", "--out", "a/site", "--samples", "my <rose>.jpg")
    assert said.status == 0, said.err
    first, second = said.out.splitlines()
    assert first.startswith("wrote a/site: tiny seed0, 10 classes,")
    assert "python -m http.server --directory a/site" in second
    page = (here / "a" / "site" / "index.html").read_text()
    assert 'alt="sample my &lt;rose&gt;"' in page
    import base64

    shown = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", page)[1])
    assert Image.open(io.BytesIO(shown)).size == (512, 853)


def test_mistakes_are_one_line(typed, here):
    assert "cannot read none.onnx" in typed("demo", "none.onnx").mistake
    (here / "text.onnx").write_text("hello")
    assert "is damaged or no ONNX file" in typed("demo", "text.onnx").mistake
    said = typed("demo", "m.onnx", "--samples", "none.png").mistake
    assert said == "no file none.png: give the path of a PNG or JPEG"
    np.save(here / "rows.npy", np.zeros(3))
    assert "is no PNG or JPEG" in typed("demo", "m.onnx", "--samples", "rows.npy").mistake
    (here / "file").write_text("")
    assert "choose another folder with --out" in typed("demo", "m.onnx", "--out", "file").mistake
    (here / "m.onnx").rename(here / "model.onnx")
    assert "would take the place of model.onnx" in typed("demo", "model.onnx", "--out", ".").mistake


def test_without_the_browser_s_runtime_the_command_that_fetches_it_is_named(typed, here):
    (here / "node_modules" / "onnxruntime-web" / "dist" / demo.RUNTIME[1]).unlink()
    said = typed("demo", "m.onnx").mistake
    assert "`npm install onnxruntime-web@1.30.0` in this folder" in said
    assert not (here / "demo").exists()
