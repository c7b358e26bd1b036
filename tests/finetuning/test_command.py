"""Mirrors cifar_lessons/finetuning/command.py: from a folder to answers, and mistakes in a line."""

import re
import shutil
from pathlib import Path

import pytest

from cifar_lessons import pretrained


@pytest.fixture
def started(tiny, monkeypatch):
    """The tiny network stands in for the shipped ones."""
    monkeypatch.setattr(pretrained, "best", lambda: tiny)


def test_a_folder_becomes_a_network_that_answers(typed, drawn, started):
    where = ("finetune", str(drawn), "--epochs", "2", "--device", "cpu", "--precision", "fp32")
    found = typed(*where)
    assert found.status == 0, found.err
    assert "18 pictures of 3 classes to learn from, 6 held out; from tiny seed0" in found.out
    assert re.search(r"validation accuracy .* of 6 pictures held out \(95 % interval", found.out)
    out = Path("outputs/finetuned/drawn")
    assert f"wrote {out} and {out / 'model.onnx'} (6 of 6 images with the same" in found.out
    picture = str(drawn / "house" / "000.png")
    for run in (out, out / "model.onnx"):
        said = typed("predict", picture, "--run", str(run))
        assert said.status == 0, said.err
        head, _, *lines = said.out.splitlines()
        assert "validation accuracy" in head
        assert {line.split()[0] for line in lines} == {"chart", "house", "noise"}
    assert f"has exported it to {out / 'model.onnx'}" in typed("export", str(out)).mistake
    refused = typed("evaluate", str(out)).mistake
    assert "no test images; its README.md says how good it is, and `cifar-lessons pr" in refused
    again = typed(*where)
    assert f"already finished: {out}" in again.out


def test_without_the_extra_all_but_the_file_is_written(typed, drawn, started, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "onnx" else find(name, *rest),
    )
    found = typed("finetune", str(drawn), "--epochs", "1", "--device", "cpu", "--out", "o")
    assert found.status == 0, found.err
    assert "wrote o; model.onnx needs onnx: `pip install 'cifar-lessons[deploy]'`" in found.out
    assert Path("o/run.json").exists()
    assert not Path("o/model.onnx").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["nowhere"], "no folder nowhere: give one that holds a subfolder a class"),
        (["mine", "--val-share", "0.9"], "--val-share must be in (0, 0.5], got 0.9; try 0.2"),
        (["mine", "--epochs", "0"], "epochs must be in [1, 10000], got 0"),
        (["mine", "--seed", "-1"], "--seed must be >= 0, got -1"),
        (["mine", "--seconds", "0"], "--seconds must be > 0, got 0"),
        (["mine", "--threads", "0"], "--threads must be in [1, 256], got 0"),
        (["mine", "--start", "resnet19"], "no run 'resnet19', neither a folder nor a recorded one"),
        (["mine", "--device", "tpu9"], "--device must be auto, cpu, cuda or mps, got 'tpu9'"),
        (["mine", "--out", "mine/chart/000.png"], "cannot write mine/chart/000.png"),
    ],
)
def test_a_mistake_is_one_line(typed, drawn, started, flags, said):
    shutil.copytree(drawn, "mine")
    assert said in typed("finetune", *flags).mistake
    assert not Path("outputs").exists()
