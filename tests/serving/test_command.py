"""Mirrors cifar_lessons/serving/command.py: a process that serves, ends well, and says mistakes."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from .conftest import picture


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_it_serves_until_a_signal_and_ends_well(model, tmp_path, number):
    path = tmp_path / "small.onnx"
    path.write_bytes(model.content)
    process = subprocess.Popen(
        [sys.executable, "-m", "cifar_lessons", "serve", str(path), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        said = process.stdout.readline()
        found = re.fullmatch(
            r"small seed0, fp32, 10 classes: POST a picture to "
            r"http://127\.0\.0\.1:(\d+)/predict; Ctrl-C ends\n",
            said,
        )
        assert found, (said, process.stderr.read() if process.poll() is not None else "")
        connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
        connection.request("POST", "/predict", picture())
        assert len(json.loads(connection.getresponse().read())["top"]) == 5
        process.send_signal(number)  # the connection is still open, and idle
        out, err = process.communicate(timeout=60)
        connection.close()
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "ended; all that was let in is answered\n", "")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--port", "70000"], "--port must be in [0, 65535], got 70000; try 8000"),
        (["--most-mb", "0"], "--most-mb must be in [0.001, 1000], got 0; try 10"),
        (["--most-megapixels", "nan"], "--most-megapixels must be in [0.001, 100], got nan"),
        (["--seconds", "0"], "--seconds must be in [0.1, 3600], got 0; try 10"),
        (["--batch", "0"], "--batch must be in [1, 1024], got 0; try 32"),
        (["--wait-ms", "-1"], "--wait-ms must be in [0, 1000], got -1; try 2"),
        (["--queue", "0"], "--queue must be in [1, 10000], got 0; try 64"),
        (["--threads", "0"], "--threads must be in [1, 256], got 0; try 1"),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid, port 8000"),
    ],
)
def test_a_mistake_is_one_line(typed, model, tmp_path, flags, said):
    (tmp_path / "m.onnx").write_bytes(model.content)
    assert said in typed("serve", "m.onnx", *flags).mistake


def test_a_file_that_is_no_model_and_a_port_that_is_taken(typed, model, tmp_path):
    assert "cannot read none.onnx" in typed("serve", "none.onnx").mistake
    (tmp_path / "text.onnx").write_text("no model")
    assert "is damaged or no ONNX file" in typed("serve", "text.onnx").mistake
    (tmp_path / "m.onnx").write_bytes(model.content)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = typed("serve", "m.onnx", "--port", port).mistake
    assert f"cannot listen on 127.0.0.1, port {port}" in said


def test_without_the_extra_it_says_which(typed, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "fastapi" else find(name, *rest),
    )
    said = typed("serve", "m.onnx").mistake
    assert said == "serve needs fastapi: `pip install 'cifar-lessons[deploy]'`"
