"""Mirrors cifar_lessons/objectives/supervised.py."""

import math

import pytest
import torch
from torch import Tensor

from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.supervised import SupervisedObjective


def loss_by_hand(logits: Tensor, labels: Tensor, s: float) -> float:
    """The source's target, 1 - s + s/K and s/K, one Python float at a time."""
    total = 0.0
    for row, y in zip(logits.tolist(), labels.tolist(), strict=True):
        top = max(row)
        log_sum = top + math.log(sum(math.exp(x - top) for x in row))
        for k, x in enumerate(row):
            target = s / len(row) + (1 - s if k == y else 0.0)
            total -= target * (x - log_sum)
    return total / len(labels)


@pytest.fixture
def batch() -> Batch:
    """The "images" are logits: the model of these tests hands them through."""
    rng = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(16, 10, generator=rng)
    labels = torch.randint(10, (16,), generator=rng)
    labels[:4] = logits[:4].argmax(1)  # so that some answers are right
    return Batch(logits, labels, torch.arange(16))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_matches_the_formula_by_hand(batch, smoothing):
    output = SupervisedObjective(label_smoothing=smoothing)(torch.nn.Identity(), batch)
    expected = loss_by_hand(batch.images, batch.labels, smoothing)
    assert output.loss.item() == pytest.approx(expected, rel=1e-5)


def test_metrics_are_the_loss_and_the_share_of_right_answers(batch):
    output = SupervisedObjective()(torch.nn.Identity(), batch)
    pairs = zip(batch.images.argmax(1).tolist(), batch.labels.tolist(), strict=True)
    assert output.metrics["accuracy"].item() == sum(a == b for a, b in pairs) / 16
    assert output.metrics["loss"].item() == output.loss.item()
    assert set(output.metrics) == {"loss", "accuracy"}


def test_only_the_loss_carries_a_gradient(batch):
    logits = batch.images.clone().requires_grad_()
    output = SupervisedObjective()(torch.nn.Identity(), Batch(logits, batch.labels, batch.index))
    assert not any(metric.requires_grad for metric in output.metrics.values())
    output.loss.backward()
    assert logits.grad is not None
    probabilities = batch.images.softmax(1)
    right = torch.nn.functional.one_hot(batch.labels, 10)
    torch.testing.assert_close(logits.grad, (probabilities - right) / 16)


def test_half_precision_logits_give_a_float32_loss(batch):
    half = Batch(batch.images.bfloat16(), batch.labels, batch.index)
    loss = SupervisedObjective()(torch.nn.Identity(), half).loss
    assert loss.dtype is torch.float32
    expected = loss_by_hand(half.images.float(), batch.labels, 0.0)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
