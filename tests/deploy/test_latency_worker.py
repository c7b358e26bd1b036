"""Mirrors cifar_lessons/deploy/latency_worker.py: a process of its own that times when asked."""

import io
import json
import sys

import numpy as np
import pytest

from cifar_lessons.deploy import latency_worker
from cifar_lessons.deploy.latency_worker import LEAD_IN, WARM_UP, Worker
from cifar_lessons.errors import UserError


@pytest.fixture
def folder(tmp_path, exported, images):
    (tmp_path / "fp32.onnx").write_bytes(exported.content)
    np.save(tmp_path / "pixels.npy", images)
    return tmp_path


def test_it_times_blocks_of_calls_and_ends(folder):
    worker = Worker("ort", folder, batch=2, threads=1)
    try:
        worker.ready()
        for calls in (3, 1):
            seconds = worker.block(calls)
            assert len(seconds) == calls
            assert all(0 < s < 10 for s in seconds)
    finally:
        worker.close()
    assert worker._process.returncode == 0


def test_one_that_cannot_start_says_why_in_one_line(folder):
    (folder / "fp32.onnx").unlink()
    worker = Worker("ort", folder, batch=2, threads=1)
    try:
        with pytest.raises(UserError) as caught:
            worker.ready()
        assert str(caught.value).startswith("ONNX Runtime, fp32 gave no answer: cannot read ")
        assert "\n" not in str(caught.value)
    finally:
        worker.close()


def test_it_warms_up_first_and_leads_in_before_each_block(folder, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(latency_worker, "open_way", lambda *_, **__: made.append)
    asked = {"way": "ort", "folder": str(folder), "batch": 2, "threads": 1}
    monkeypatch.setattr(sys, "argv", ["worker", json.dumps(asked)])
    monkeypatch.setattr(sys, "stdin", io.StringIO("5\n7\n"))
    latency_worker.main()
    ready, *blocks = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert ready == "ready"
    assert [len(block) for block in blocks] == [5, 7]
    assert len(made) == WARM_UP + 2 * LEAD_IN + 5 + 7
    assert {len(pixels) for pixels in made} == {2}
