"""Mirrors cifar_lessons/objectives/vicreg.py."""

import pytest
import torch
from torch import Tensor, nn

from cifar_lessons.config import VicReg
from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.vicreg import VicRegObjective, vicreg_terms


def by_hand(first: Tensor, second: Tensor) -> tuple[float, float, float]:
    """The source's three terms, a Python float at a time."""
    n, d = first.shape
    both = [v.tolist() for v in (first, second)]
    agree = sum((both[0][i][j] - both[1][i][j]) ** 2 for i in range(n) for j in range(d)) / (n * d)
    idle = redundant = 0.0
    for view in both:
        mean = [sum(row[j] for row in view) / n for j in range(d)]
        cov = [
            [
                sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in view) / (n - 1)
                for j in range(d)
            ]
            for i in range(d)
        ]
        idle += sum(max(0.0, 1 - (cov[j][j] + 1e-4) ** 0.5) for j in range(d)) / d / 2
        redundant += sum(cov[i][j] ** 2 for i in range(d) for j in range(d) if i != j) / d
    return agree, idle, redundant


@pytest.fixture
def views() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    first = torch.randn(9, 6, generator=rng) * torch.linspace(0.2, 2, 6)
    return first, first + 0.3 * torch.randn(9, 6, generator=rng)


def test_autocast_leaves_the_terms_in_float32(views):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = vicreg_terms(*views)
    assert terms == vicreg_terms(*views)


def test_matches_the_formula_by_hand(views):
    terms = vicreg_terms(*views)
    found = (terms.invariance.item(), terms.variance.item(), terms.covariance.item())
    assert found == pytest.approx(by_hand(*views), rel=1e-5)


def test_identical_views_that_vary_and_differ_cost_nothing():
    """The rows of a scaled Hadamard matrix: each number varies, and no two go together."""
    h = torch.tensor([[1.0]])
    for _ in range(3):
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)], 0)
    view = h[:, 1:]  # without the column that never moves
    terms = vicreg_terms(view, view)
    assert terms.invariance.item() == 0
    assert terms.variance.item() == 0
    assert terms.covariance.item() == pytest.approx(0.0, abs=1e-6)


def test_a_collapse_is_seen_by_the_variance_alone():
    same = torch.full((8, 4), 3.0)
    terms = vicreg_terms(same, same)
    assert terms.invariance.item() == 0
    assert terms.covariance.item() == 0
    assert terms.variance.item() == pytest.approx(1 - 1e-2, rel=1e-5)


def test_a_collapse_has_a_finite_gradient():
    same = torch.ones(8, 4, requires_grad=True)
    [gradient] = torch.autograd.grad(vicreg_terms(same, same * 1).variance, same)
    assert torch.isfinite(gradient).all()


def test_numbers_that_say_the_same_are_seen_by_the_covariance(views):
    column = views[0][:, :1]
    twice = column.repeat(1, 2)
    expected = 2 * 2 * column.var().item() ** 2 / 2  # both views, two off-diagonals, D = 2
    assert vicreg_terms(twice, twice).covariance.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (torch.ones(1, 4), torch.ones(1, 4), "needs two at least, got a batch of 1"),
        (torch.ones(3, 4), torch.ones(3, 5), "one shape"),
    ],
)
def test_errors_name_the_value(first, second, message):
    with pytest.raises(ValueError, match=message):
        vicreg_terms(first, second)


def test_the_objective_weighs_the_terms_and_tells_each(views):
    batch = Batch(views[0], torch.arange(9), torch.arange(9), second=views[1])
    config = VicReg(invariance=2.0, variance=3.0, covariance=5.0)
    output = VicRegObjective(config)(nn.Identity(), batch)
    agree, idle, redundant = by_hand(*views)
    assert output.loss.item() == pytest.approx(2 * agree + 3 * idle + 5 * redundant, rel=1e-5)
    assert output.metrics["variance"].item() == pytest.approx(idle, rel=1e-5)
    assert {"loss", "partners", "spread", "invariance", "covariance"} < set(output.metrics)
