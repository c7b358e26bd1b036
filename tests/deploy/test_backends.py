"""Mirrors cifar_lessons/deploy/backends.py."""

import numpy as np
import onnxruntime as ort
import pytest

from cifar_lessons.deploy.backends import Eager, OnnxRuntime
from cifar_lessons.errors import UserError

from .conftest import DATA


def test_bf16_is_near_and_not_the_same(network, images):
    exact = Eager(network, DATA)(images)
    half = Eager(network, DATA, precision="bf16")(images)
    assert half.dtype == np.float32
    assert 0 < np.abs(exact - half).max() < 0.1 * exact.std() + 0.1


def test_every_engine_refuses_what_is_no_batch_of_pixels(network, exported, images):
    for backend in (Eager(network, DATA), OnnxRuntime(exported)):
        with pytest.raises(UserError, match="pixels must be uint8"):
            backend(images.astype(np.float32))


def test_a_device_that_this_build_lacks_is_one_line(exported):
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA; the test needs one that has not")
    with pytest.raises(UserError, match="pip install onnxruntime-gpu"):
        OnnxRuntime(exported, device="cuda")


def test_a_silent_fallback_is_an_error(exported, monkeypatch):
    """A build that names CUDA and then runs on the CPU, as one without its libraries does."""
    real = ort.InferenceSession
    monkeypatch.setattr(
        ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    asked: list[object] = []

    def session(content, options, providers):
        asked.extend(providers)
        return real(content, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(ort, "InferenceSession", session)
    with pytest.raises(UserError, match="fell back from CUDAExecutionProvider to CPUExec"):
        OnnxRuntime(exported, device="cuda")
    assert asked == [("CUDAExecutionProvider", {"use_tf32": "0"})]  # fp32 means fp32


def test_threads_change_no_answer_beyond_rounding(exported, images):
    one, two = (OnnxRuntime(exported, threads=n)(images[:8]) for n in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4)
