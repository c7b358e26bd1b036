"""Mirrors cifar_lessons/evaluation/probe.py."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cifar_lessons.config import DataConfig
from cifar_lessons.data import cifar
from cifar_lessons.data.loader import normalise
from cifar_lessons.evaluation.metrics import accuracy
from cifar_lessons.evaluation.probe import (
    choose_probe,
    features,
    fit_probe,
    knn,
    nearest,
)
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")


class Colours(nn.Module):
    """The mean colour is what it sees."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training
        return x.mean(dim=(2, 3))


@pytest.fixture(scope="module")
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of points in eight dimensions, and their classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    centres = 3 * rng.normal(size=(3, 8))
    return (centres[labels] + rng.normal(size=(300, 8))).astype(np.float32), labels


def test_features_come_in_the_order_of_the_split():
    split = cifar.synthetic(num_train=150, num_test=10, val_size=50).train
    found = features(Colours(), split, DataConfig(), runtime=FP32, batch_size=30)
    expected = normalise(split.images, DataConfig()).mean(dim=(2, 3))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_network_without_features_is_refused():
    split = cifar.synthetic(num_train=20, num_test=10, val_size=10).test
    whole = torch.nn.Linear(3, 2)
    with pytest.raises(TypeError, match=r"must have a method `features`.* a Linear has none"):
        features(whole, split, DataConfig(), runtime=FP32)


def test_nearest_finds_what_a_slow_search_finds(clouds):
    rows, _ = clouds
    where, cosines = nearest(rows, rows[:20], count=4)
    for number in range(20):
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        slow = unit @ unit[number]
        np.testing.assert_allclose(cosines[number], np.sort(slow)[::-1][:4], rtol=1e-4)
        assert where[number, 0] == number  # itself


def test_votes_are_those_of_the_formula(clouds):
    rows, labels = clouds
    found = knn(rows, labels, rows[:9] + 0.1, labels[:9], classes=3, neighbours=5, temperature=0.2)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for number, logits in enumerate(found.logits):
        query = rows[number] + 0.1
        cosines = unit @ (query / np.linalg.norm(query))
        votes = [0.0, 0.0, 0.0]
        for k in np.argsort(-cosines)[:5]:
            votes[labels[k]] += math.exp(float(cosines[k]) / 0.2)
        shares = [v / sum(votes) * (1 - 3e-4) + 1e-4 for v in votes]
        np.testing.assert_allclose(np.exp(logits), shares, rtol=1e-3)


def test_knn_knows_the_clouds_and_says_so_in_probabilities(clouds):
    rows, labels = clouds
    found = knn(rows[:200], labels[:200], rows[200:], labels[200:], classes=3)
    assert accuracy(found) > 0.95
    np.testing.assert_allclose(np.exp(found.logits).sum(axis=1), 1, rtol=1e-5)


def test_fewer_images_than_neighbours_all_vote(clouds):
    rows, labels = clouds
    few = knn(rows[:6], labels[:6], rows[6:30], labels[6:30], classes=3)
    assert few.logits.shape == (24, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"neighbours": 0}, "0 and 0.1"), ({"temperature": 0.0}, "200 and 0.0")],
)
def test_a_vote_without_voters_is_told(clouds, change, words):
    rows, labels = clouds
    with pytest.raises(ValueError, match=words):
        knn(rows, labels, rows, labels, classes=3, **change)


def test_a_probe_is_at_the_minimum_of_its_loss(clouds):
    """Its gradient is 0, in the standardised features."""
    rows, labels = clouds
    probe = fit_probe(rows, labels, strength=0.01)
    x = (rows - probe.mean) / probe.scale
    logits = x @ probe.weight.T + probe.bias
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    off = (p - np.eye(3)[labels]) / len(rows)
    np.testing.assert_allclose(off.T @ x + 0.01 * probe.weight, 0, atol=2e-3)
    np.testing.assert_allclose(off.sum(0), 0, atol=2e-3)


def test_scale_and_place_of_features_do_not_matter(clouds):
    rows, labels = clouds
    moved = (rows * np.linspace(1, 50, 8) + 7).astype(np.float32)
    for some in (rows, moved):
        probe = fit_probe(some[:200], labels[:200], strength=0.01)
        assert accuracy(probe(some[200:], labels[200:])) > 0.95


def test_a_feature_that_never_moves_does_no_harm(clouds):
    rows, labels = clouds
    still = np.concatenate([rows, np.ones((300, 1), np.float32)], axis=1)
    assert accuracy(fit_probe(still, labels, strength=0.1)(still, labels)) > 0.95


def test_two_classes_give_two_logits(clouds):
    rows, labels = clouds
    two = labels < 2
    probe = fit_probe(rows[two], labels[two], strength=0.01)
    found = probe(rows[two], labels[two])
    assert found.logits.shape == (200, 2)
    assert accuracy(found) > 0.95


def test_validation_chooses_the_penalty():
    """Labels that are noise on most features: the weakest penalty learns them by heart."""
    rng = np.random.default_rng(1)
    labels = np.arange(640) % 2
    rows = rng.normal(size=(640, 30)).astype(np.float32)
    rows[:, 0] += labels
    train, val = (rows[:40], labels[:40]), (rows[40:], labels[40:])
    strengths = (1e-6, 3e-1)
    chosen = choose_probe(train, val, strengths=strengths)
    by_hand = {s: accuracy(fit_probe(*train, strength=s)(*val)) for s in strengths}
    assert chosen.strength == max(by_hand, key=lambda s: by_hand[s]) == 3e-1


def test_of_equals_the_strongest_penalty_is_taken(clouds):
    _, labels = clouds
    easy = (np.eye(3, dtype=np.float32)[labels] * 50, labels)
    assert choose_probe(easy, easy).strength == 1.0
