"""Mirrors cifar_lessons/evaluation/tta.py."""

from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cifar_lessons.config import DataConfig, ViewsConfig
from cifar_lessons.data.cifar import Split, synthetic
from cifar_lessons.data.loader import normalise
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.evaluation.tta import VIEWS, flip, least_sure, predict_views, shift
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
DATA = DataConfig()


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic(num_train=40, num_test=33, val_size=10).test


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))


@pytest.fixture
def images() -> Tensor:
    return torch.arange(32.0).expand(1, 3, 32, 32).clone()  # each pixel holds its column


def test_flip_mirrors_left_for_right(images):
    assert flip(images)[0, 0, 0].tolist() == list(range(31, -1, -1))


def test_shift_moves_the_image_and_reflects_the_border(images):
    assert shift(images, down=0, right=1)[0, 0, 0, :4].tolist() == [1, 0, 1, 2]
    assert shift(images, down=0, right=-2)[0, 0, 0, -4:].tolist() == [30, 31, 30, 29]
    turned = images.transpose(2, 3)
    assert shift(turned, down=1, right=0)[0, 0, :4, 0].tolist() == [1, 0, 1, 2]


def test_every_set_can_be_named_and_its_weights_add_up_to_one():
    assert set(get_args(get_type_hints(ViewsConfig)["name"])) == set(VIEWS)
    for first, more in VIEWS.values():
        assert first + sum(weight for weight, _ in more) == pytest.approx(1.0)


def by_hand(model: nn.Module, split: Split) -> np.ndarray:
    """The six views of the source, written out."""
    x = normalise(split.images, DATA)
    padded = nn.functional.pad(x, (1, 1, 1, 1), mode="reflect")
    corners = [padded[:, :, :32, :32], padded[:, :, 2:, 2:]]

    def mirrored(x: Tensor) -> Tensor:
        return (model(x) + model(x.flip(3))) / 2

    with torch.no_grad():
        moved = sum(mirrored(c) for c in corners) / 2
        return ((mirrored(x) + moved) / 2).numpy()


@pytest.mark.parametrize("batch_size", [7, 500])
def test_six_views_by_hand(model, split, batch_size):
    plain = predict(model, split, DATA, runtime=FP32)
    views = ViewsConfig(name="flip_shift")
    found = predict_views(
        plain, model, split, DATA, views=views, runtime=FP32, batch_size=batch_size
    )
    np.testing.assert_allclose(found.logits, by_hand(model, split), atol=1e-5)
    np.testing.assert_array_equal(found.labels, plain.labels)


def test_only_the_hardest_images_are_looked_at_again(model, split):
    plain = predict(model, split, DATA, runtime=FP32)
    hard = least_sure(plain.logits, 0.25)
    views = ViewsConfig(name="flip_shift", hardest=0.25)
    found = predict_views(plain, model, split, DATA, views=views, runtime=FP32)
    easy = np.setdiff1d(np.arange(33), hard)
    assert len(hard) == 8
    np.testing.assert_array_equal(found.logits[easy], plain.logits[easy])
    np.testing.assert_allclose(found.logits[hard], by_hand(model, split)[hard], atol=1e-5)


def test_least_sure_is_the_smallest_gap_between_the_first_two():
    logits = np.array([[9.0, 0, 0], [1.0, 0.9, -5], [3.0, 0, 1], [0.0, 0.5, 2]])
    assert least_sure(logits, 0.5).tolist() == [1, 3]
    assert least_sure(logits, 1.0).tolist() == [0, 1, 2, 3]
    assert least_sure(logits, 0.01).tolist() == [1]


def test_labels_play_no_part(model, split):
    """Else the score would be chosen on test."""
    turned = Split(split.images, split.labels.flip(0), split.index)
    views = ViewsConfig(hardest=0.3)
    found = [
        predict_views(
            predict(model, s, DATA, runtime=FP32), model, s, DATA, views=views, runtime=FP32
        ).logits
        for s in (split, turned)
    ]
    np.testing.assert_array_equal(*found)
