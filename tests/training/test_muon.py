"""Mirrors cifar_lessons/training/muon.py."""

import copy

import pytest
import torch
from torch import Tensor, nn

from cifar_lessons.training.muon import Muon, orthogonalise


def matrix(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(16, 16), (16, 40), (40, 16)])
def test_singular_values_come_near_one(shape):
    found = torch.linalg.svdvals(orthogonalise(matrix(*shape), steps=5))
    assert found.min() > 0.5
    assert found.max() < 1.5


@pytest.mark.parametrize("shape", [(8, 20), (20, 8)])
def test_directions_stay(shape):
    """Each singular direction keeps its place: only the lengths change."""
    x = matrix(*shape)
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    inside = u.T @ orthogonalise(x) @ v.T
    off_diagonal = inside - inside.diag().diag()
    assert off_diagonal.abs().max() < 1e-3
    assert (inside.diag() > 0.2).all()


def test_the_length_of_the_gradient_does_not_matter():
    x = matrix(8, 20)
    torch.testing.assert_close(orthogonalise(1000 * x), orthogonalise(x), atol=1e-4, rtol=1e-4)


def test_the_order_of_columns_does_not_matter():
    """So channels_last filters need no other treatment."""
    x, order = matrix(8, 20), torch.randperm(20, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(orthogonalise(x[:, order]), orthogonalise(x)[:, order])


def test_a_gradient_of_zeros_gives_zeros():
    assert torch.equal(orthogonalise(torch.zeros(4, 6)), torch.zeros(4, 6))


def filters(rows: int = 6) -> nn.Parameter:
    return nn.Parameter(matrix(rows, 4 * 9).reshape(rows, 4, 3, 3).clone())


def test_filters_are_found_by_their_shape_where_nobody_says():
    """As `Muon(network.parameters(), lr)`: filters by Muon, the rest as by SGD."""
    torch.manual_seed(0)
    mine = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(16, 3))
    theirs = copy.deepcopy(mine)
    own = Muon(mine.parameters(), 0.05, momentum=0.8)
    rest = {"lr": 0.05, "momentum": 0.8}
    groups = [
        {"params": [theirs[0].weight], "orthogonal": True, **rest},
        {"params": [theirs[0].bias, *theirs[2].parameters()], "orthogonal": False, **rest},
    ]
    x = torch.randn(5, 2, 4, 4)
    for network, optimizer in ((mine, own), (theirs, Muon(groups))):
        for _ in range(2):
            optimizer.zero_grad()
            network(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(mine.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_a_step_on_filters_by_hand():
    weight, momentum, lr = filters(), 0.6, 0.1
    optimizer = Muon([{"params": [weight], "lr": lr, "momentum": momentum, "orthogonal": True}])
    mine, buffer = weight.detach().clone(), torch.zeros(6, 36)
    for seed in range(3):
        gradient = matrix(6, 36, seed=10 + seed)
        weight.grad = gradient.reshape(weight.shape).clone()
        optimizer.step()
        buffer = momentum * buffer + gradient
        mine = mine * 6**0.5 / mine.norm()
        mine = mine - lr * orthogonalise(gradient + momentum * buffer).reshape(mine.shape)
        torch.testing.assert_close(weight.detach(), mine, atol=1e-5, rtol=1e-5)


def test_other_groups_are_pytorchs_sgd_with_nesterov_momentum():
    mine, theirs = nn.Linear(5, 3), nn.Linear(5, 3)
    theirs.load_state_dict(mine.state_dict())
    settings = {"lr": 0.1, "momentum": 0.85, "weight_decay": 0.01}
    ours = Muon([{"params": list(mine.parameters()), **settings}])
    sgd = torch.optim.SGD(theirs.parameters(), nesterov=True, **settings)
    for seed in range(4):
        x = matrix(7, 5, seed)
        for layer, optimizer in ((mine, ours), (theirs, sgd)):
            optimizer.zero_grad()
            layer(x).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(mine.weight, theirs.weight, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(mine.bias, theirs.bias, atol=1e-6, rtol=1e-5)


def test_a_saved_state_goes_on_bit_for_bit():
    weight = filters()
    optimizer = Muon([{"params": [weight], "orthogonal": True}])

    def step(weight: nn.Parameter, optimizer: Muon, seed: int) -> None:
        weight.grad = matrix(6, 36, seed).reshape(weight.shape).clone()
        optimizer.step()

    step(weight, optimizer, 0)
    again = nn.Parameter(weight.detach().clone())
    resumed = Muon([{"params": [again], "orthogonal": True}])
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(weight, optimizer, 1)
    step(again, resumed, 1)
    assert torch.equal(weight, again)


def test_weights_without_a_gradient_stay():
    weight = filters()
    before = weight.detach().clone()
    Muon([{"params": [weight], "orthogonal": True}]).step()
    assert torch.equal(weight, before)
