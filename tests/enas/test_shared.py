"""Mirrors cifar_lessons/enas/shared.py: shared weights and the score of a network with them."""

import numpy as np
import pytest
import torch

from cifar_lessons.data.loader import eval_batches
from cifar_lessons.enas.controller import Controller, Uniform
from cifar_lessons.enas.shared import new_search, shared_accuracy
from cifar_lessons.enas.space import uniform


def test_the_seed_decides_first_weights_and_the_recipe_the_controller(tiny, cpu):
    def first(seed: int, controller: str):
        return new_search(tiny(controller), seed=seed, num_classes=10, runtime=cpu)

    a, b, c = (first(s, "reinforce") for s in (0, 0, 1))
    assert torch.equal(a[0].stem[0].weight, b[0].stem[0].weight)
    assert not torch.equal(a[0].stem[0].weight, c[0].stem[0].weight)
    assert isinstance(a[1], Controller)
    assert isinstance(first(0, "uniform")[1], Uniform)


def test_the_score_is_the_share_of_right_answers(tiny, cpu, data):
    network, _ = new_search(tiny(), seed=0, num_classes=10, runtime=cpu)
    recipe = tiny()
    for seed in range(3):
        architecture = uniform(np.random.default_rng(seed), layers=3)
        found = shared_accuracy(network, architecture, data.val, recipe, cpu)
        network.eval()
        [batch] = eval_batches(data.val, recipe.data, batch_size=100)
        right = (network(batch.images).argmax(1) == batch.labels).float().mean().item()
        assert found == pytest.approx(right)
        assert network.architecture == architecture


def test_asking_changes_no_weight(tiny, cpu, data):
    network, _ = new_search(tiny(), seed=0, num_classes=10, runtime=cpu)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    shared_accuracy(network, uniform(np.random.default_rng(0), layers=3), data.val, tiny(), cpu)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
