"""Mirrors cifar_lessons/finetuning/head.py: a convex problem, solved, and written into the head."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from cifar_lessons.config import DataConfig
from cifar_lessons.data.loader import normalise
from cifar_lessons.finetuning.folder import read_folder
from cifar_lessons.finetuning.head import STRENGTH, features, fit_head, has_bias, set_head
from cifar_lessons.models import build_model

from .conftest import FP32


def points(classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % classes
    centres = rng.normal(0, 2, (classes, 7))
    return (centres[labels] + rng.normal(0, 1, (60, 7)) + 5).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("bias", [True, False])
def test_the_head_gives_the_probabilities_of_the_regression(classes, bias):
    seen, labels = points(classes)
    weights, offset = fit_head(seen, labels, classes=classes, bias=bias)
    assert weights.shape == (classes, 7)
    assert offset.shape == (classes,)
    logits = torch.from_numpy(seen @ weights.T + offset)
    shifted = (seen - (seen.mean(0) if bias else 0)) / seen.std(0)
    right = LogisticRegression(C=STRENGTH, max_iter=500, fit_intercept=bias).fit(shifted, labels)
    np.testing.assert_allclose(logits.softmax(1), right.predict_proba(shifted), atol=1e-3)
    if not bias:
        np.testing.assert_allclose(offset, 0)


def test_a_feature_that_never_moves_does_no_harm():
    seen, labels = points(3)
    seen[:, 0] = 4.0
    weights, offset = fit_head(seen, labels, classes=3)
    assert np.isfinite(weights).all()
    assert np.isfinite(offset).all()


@pytest.mark.parametrize("name", ["resnet18", "simple_cnn", "speednet"])
def test_it_is_written_into_the_last_linear_layer(name):
    model = build_model(name, num_classes=3).eval()
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(3, model.feature_dim)), rng.normal(size=3)
    set_head(model, weights, bias)
    seen = torch.randn(4, model.feature_dim)
    with torch.inference_mode():
        found = model.head(seen)
    wanted = seen.numpy() @ weights.T + (bias if has_bias(model) else 0)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
    assert has_bias(model) == (name != "speednet")


def test_features_are_those_of_evaluation_mode_and_change_nothing(drawn):
    split = read_folder(drawn).val
    torch.manual_seed(0)
    model = build_model("resnet18", width=2).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = features(model, split, DataConfig(), runtime=FP32)
    with torch.inference_mode():
        wanted = model.eval().features(normalise(split.images, DataConfig()))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
