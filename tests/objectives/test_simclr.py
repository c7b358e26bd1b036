"""Mirrors cifar_lessons/objectives/simclr.py."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from cifar_lessons.config import SimClr
from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.simclr import SimClrObjective, nt_xent, spread, two_views


def algorithm_1(first: Tensor, second: Tensor, t: float) -> float:
    """The source's pseudocode, one pair of views at a time: 2k - 1 and 2k are partners."""
    z = [row.tolist() for pair in zip(first, second, strict=True) for row in pair]
    n = len(first)

    def s(i: int, j: int) -> float:
        dot = sum(a * b for a, b in zip(z[i], z[j], strict=True))
        return dot / math.sqrt(sum(a * a for a in z[i])) / math.sqrt(sum(b * b for b in z[j]))

    def ell(i: int, j: int) -> float:
        below = sum(math.exp(s(i, k) / t) for k in range(2 * n) if k != i)
        return -math.log(math.exp(s(i, j) / t) / below)

    return sum(ell(2 * k, 2 * k + 1) + ell(2 * k + 1, 2 * k) for k in range(n)) / (2 * n)


@pytest.fixture
def views() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(0)
    first = torch.randn(7, 5, generator=rng)
    return first, first + 0.5 * torch.randn(7, 5, generator=rng)


@pytest.mark.parametrize("t", [0.1, 0.5, 2.0])
def test_matches_algorithm_1_by_hand(views, t):
    assert nt_xent(*views, temperature=t).item() == pytest.approx(algorithm_1(*views, t), rel=1e-5)


def test_a_batch_of_two_has_one_partner_and_two_rivals(views):
    first, second = (v[:2] for v in views)
    found = nt_xent(first, second, temperature=1.0).item()
    assert found == pytest.approx(algorithm_1(first, second, 1.0), rel=1e-5)


def test_the_two_views_may_change_places_and_images_too(views):
    first, second = views
    loss = nt_xent(first, second, temperature=0.5)
    torch.testing.assert_close(nt_xent(second, first, temperature=0.5), loss)
    order = torch.randperm(7)
    torch.testing.assert_close(nt_xent(first[order], second[order], temperature=0.5), loss)


def test_the_length_of_a_vector_does_not_matter(views):
    first, second = views
    moved = nt_xent(first * torch.rand(7, 1).add(0.1), second * 30, temperature=0.5)
    torch.testing.assert_close(moved, nt_xent(first, second, temperature=0.5))


def test_a_very_high_temperature_guesses_among_all_others(views):
    assert nt_xent(*views, temperature=1e4).item() == pytest.approx(math.log(13), rel=1e-3)


def test_a_very_low_temperature_is_finite_and_counts_the_nearest_alone(views):
    first, _ = views
    orthogonal = torch.eye(8)
    low = nt_xent(orthogonal, orthogonal, temperature=1e-3)
    assert low.item() == pytest.approx(0.0, abs=1e-6)
    worst = nt_xent(first, -first, temperature=1e-3)  # partners opposite: exponentials underflow
    assert torch.isfinite(worst)
    assert worst.item() > 1_000


def test_identical_views_of_orthogonal_images_have_the_value_of_the_formula():
    same = torch.eye(6)
    expected = -math.log(math.exp(2.0) / (math.exp(2.0) + 10))  # 1/T = 2, ten rivals at cosine 0
    assert nt_xent(same, same, temperature=0.5).item() == pytest.approx(expected, rel=1e-5)


def test_where_all_images_are_one_it_is_a_blind_guess():
    same = torch.ones(6, 4)
    assert nt_xent(same, same, temperature=0.2).item() == pytest.approx(math.log(11), rel=1e-5)


def test_autocast_leaves_the_loss_in_float32(views):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nt_xent(*views, temperature=0.1)
    assert torch.equal(loss, nt_xent(*views, temperature=0.1))


def test_half_precision_gives_a_float32_loss(views):
    half = nt_xent(*(v.bfloat16() for v in views), temperature=0.5)
    assert half.dtype is torch.float32
    assert half.item() == pytest.approx(nt_xent(*views, temperature=0.5).item(), rel=0.03)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"second": torch.zeros(7, 4)}, r"one shape \(B, D\), got \(7, 5\) and \(7, 4\)"),
        ({"temperature": 0.0}, "temperature must be > 0, got 0.0"),
        (
            {"first": torch.ones(1, 5), "second": torch.ones(1, 5)},
            "needs images to tell apart, got a batch of 1; try 256",
        ),
    ],
)
def test_errors_name_the_value_and_the_mend(views, change, message):
    arguments = dict(zip(("first", "second"), views, strict=True), temperature=0.5)
    with pytest.raises(ValueError, match=message):
        nt_xent(**{**arguments, **change})


def test_spread_tells_a_collapse_from_vectors_that_point_everywhere():
    rng = torch.Generator().manual_seed(0)
    assert spread(torch.randn(4_000, 32, generator=rng)).item() == pytest.approx(1.0, abs=0.02)
    assert spread(torch.ones(50, 32)).item() == pytest.approx(0.0, abs=1e-3)


def batch_of(views: tuple[Tensor, Tensor]) -> Batch:
    return Batch(views[0], torch.arange(7), torch.arange(7), second=views[1])


def test_the_objective_sends_both_views_through_the_network_at_once(views):
    class Counting(nn.Linear):
        seen: list[int] = []

        def forward(self, x: Tensor) -> Tensor:
            self.seen.append(len(x))
            return super().forward(x)

    model = Counting(5, 4)
    output = SimClrObjective(SimClr(temperature=0.5))(model, batch_of(views))
    assert model.seen == [14]
    first, second = model(views[0]), model(views[1])
    torch.testing.assert_close(output.loss, nt_xent(first, second, temperature=0.5))
    assert set(output.metrics) == {"loss", "partners", "spread"}
    assert not any(m.requires_grad for m in output.metrics.values())
    cosine = torch.cosine_similarity(first, second).mean()
    torch.testing.assert_close(output.metrics["partners"], cosine.detach())


def test_one_view_of_each_image_is_refused(views):
    with pytest.raises(ValueError, match="take batches from PairLoader"):
        two_views(nn.Identity(), replace(batch_of(views), second=None))
