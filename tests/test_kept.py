"""Mirrors cifar_lessons/kept.py: recorded networks for a chapter, and what stands in for them."""

import numpy as np
import pytest
import torch
from safetensors.torch import save

from cifar_lessons import building, kept, notebook, recipes, runs
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")


@pytest.fixture
def session() -> notebook.Session:
    data = synthetic(num_train=60, num_test=30, val_size=20)
    return notebook.Session(data, FP32, "quick")


@pytest.fixture
def weights(recorded):
    """Record a network that nobody trained as `simple_cnn_flip_crop`, seed 0."""
    recorded("simple_cnn_flip_crop", 0.75, seeds=range(2))
    recorded("resnet18_w16", 0.9)  # without weights
    recipe = recipes.get("simple_cnn_flip_crop")
    model = building.new_model(recipe, seed=0, num_classes=10, runtime=FP32)
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    folder = runs.runs_root() / recipe.name / "seed0"
    (folder / "weights.safetensors").write_bytes(save(tensors))
    return model


def test_only_networks_whose_weights_are_kept_are_listed(weights):
    assert [(run.name, run.seed) for run in kept.recorded()] == [("simple_cnn_flip_crop", 0)]


def test_a_recorded_network_is_ready_and_named(weights, session, capsys):
    model = kept.network("simple_cnn_flip_crop", session)
    assert not model.training
    torch.testing.assert_close(model.head[1].weight, weights.head[1].weight)  # type: ignore[index]
    assert "simple_cnn_flip_crop, recorded: test accuracy 7" in capsys.readouterr().out


def test_its_logits_are_those_of_prediction(weights, session):
    [run] = kept.recorded()
    data = recipes.get("simple_cnn_flip_crop").data
    expected = predict(weights, session.data.test, data, runtime=FP32).logits
    images = session.data.test.images.numpy()
    found = kept.logits(run, images, runtime=FP32, batch_size=7)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_without_a_record_one_that_was_hardly_trained_stands_in_and_says_so(
    recorded, session, capsys
):
    assert kept.recorded() == []
    model = kept.network("simple_cnn", session)
    assert not model.training
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    said = capsys.readouterr().out
    assert "simple_cnn is not recorded yet" in said
    assert "A quick taste, not a result" in said
