"""Mirrors cifar_lessons/predicting.py: whoever answers says who it is, and all agree."""

import dataclasses

import numpy as np
import pytest
import torch

from cifar_lessons import predicting, pretrained, runs
from cifar_lessons.config import Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.fields import from_dict


@pytest.fixture
def pictures() -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8, generator=rng)


@pytest.fixture(autouse=True)
def _nothing_recorded(monkeypatch, tmp_path):
    """As in an installation without the book."""
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "no runs"))


def test_without_a_name_shipped_weights_answer_and_say_so(pictures):
    found, card = predicting.answering(None, device="cpu"), pretrained.best()
    accuracy = f"{100 * card.final['test_accuracy']:.2f}"
    assert found.title == f"{card.name} seed0, shipped weights, test accuracy {accuracy} %"
    assert found.classes == card.classes
    shares = found.probabilities(pictures)
    assert shares.shape == (3, 10)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)


def test_shipped_weights_answer_to_their_name_where_no_run_has_it(pictures):
    named = predicting.answering("resnet18_w16", device="cpu")
    assert "shipped weights" in named.title
    with pytest.raises(UserError, match="no run 'resnet18_w99'"):
        predicting.answering("resnet18_w99", device="cpu")


def test_an_exported_file_gives_the_answers_of_its_network(pictures, tmp_path):
    pytest.importorskip("onnxruntime")
    from cifar_lessons.deploy.export import export
    from cifar_lessons.deploy.model_file import About
    from cifar_lessons.deploy.pixels import as_pixels

    card = pretrained.card("resnet18_w16")
    about = About("mine", card.classes, "f" * 64, "fp32", 0.5, scored_on="validation")
    data = from_dict(Recipe, card.recipe).data
    made, _ = export(pretrained.load(card.name), data, about=about, images=as_pixels(pictures))
    path = tmp_path / "mine.onnx"
    path.write_bytes(made.content)
    found = predicting.answering(str(path))
    assert found.title == f"mine in {path}, fp32, validation accuracy 50.00 %"
    plain = predicting.answering(None, device="cpu").probabilities(pictures)
    np.testing.assert_allclose(found.probabilities(pictures), plain, atol=1e-4)


def test_an_accuracy_that_nobody_gave_is_not_made_up(tmp_path):
    pytest.importorskip("onnxruntime")
    from cifar_lessons.deploy.export import export
    from cifar_lessons.deploy.model_file import About

    card = pretrained.card("resnet18_w16")
    network, data = pretrained.load(card.name), from_dict(Recipe, card.recipe).data
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    made, _ = export(network, data, about=About("mine", card.classes), images=images)
    path = tmp_path / "mine.onnx"
    path.write_bytes(made.content)
    assert predicting.answering(str(path)).title == f"mine in {path}, fp32, accuracy not known"


@pytest.mark.parametrize(
    ("final", "said"),
    [
        ({"test_accuracy": 0.5, "val_accuracy": 0.7}, "test accuracy 50.00 %"),
        ({"val_accuracy": 0.7}, "validation accuracy 70.00 %"),
        ({}, "accuracy not known"),
    ],
)
def test_a_run_is_shown_with_the_accuracy_that_it_has(final, said):
    run: runs.Run = dataclasses.replace(pretrained.best(), final=final)
    assert predicting.scored(run) == said
