"""Mirrors cifar_lessons/training/step.py: one step is one step, in every precision."""

import math

import pytest
import torch
from torch import nn

from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.runtime import Runtime
from cifar_lessons.training.step import LossIsNotFinite, check_finite, train_step

CPU = torch.device("cpu")
PRECISIONS = ["fp32", "bf16", "fp16"]


class Setup:
    """A linear model on 12 pixels, SGD at rate 1, and a count of its steps."""

    def __init__(self, precision: str, *, fused: bool = False, device: torch.device = CPU) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(12, 10))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0, fused=fused)
        self.runtime = Runtime(device=device, precision=precision)
        # Small, so that no gradient overflows; by default fp16 begins at 65,536 and skips steps.
        self.scaler = torch.amp.GradScaler("cpu", enabled=precision == "fp16", init_scale=1024.0)
        self.steps = 0
        self.optimizer.register_step_post_hook(self.count)

    def count(self, *_):
        self.steps += 1

    def step(self, batch: Batch, **kwargs):
        return train_step(
            self.model,
            batch,
            SupervisedObjective(),
            self.optimizer,
            runtime=self.runtime,
            scaler=self.scaler,
            **kwargs,
        )


@pytest.fixture
def batch() -> Batch:
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(32, 3, 2, 2, generator=rng)
    return Batch(images, torch.arange(32) % 10, torch.arange(32))


def flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("clip_norm", [None, 1.0])
@pytest.mark.parametrize("fused", [False, True])
def test_the_optimizer_steps_once(batch, precision, clip_norm, fused):
    """Tutorials have called `optimizer.step()` after `scaler.step(optimizer)`: two steps."""
    setup = Setup(precision, fused=fused)
    for expected in (1, 2, 3):
        setup.step(batch, clip_norm=clip_norm)
        assert setup.steps == expected


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_weights_move_against_the_gradient(batch, precision):
    """In fp16 the scaled gradient must be unscaled again, or this step is 1,024 times too long."""
    setup = Setup(precision)
    before = flat(setup.model)
    loss = nn.functional.cross_entropy(setup.model(batch.images), batch.labels)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, setup.model.parameters())])
    output = setup.step(batch)
    tolerance = 1e-6 if precision == "fp32" else 2e-3
    torch.testing.assert_close(flat(setup.model), before - gradient, atol=tolerance, rtol=0)
    assert output.loss.item() == pytest.approx(loss.item(), rel=0.01)
    assert not output.loss.requires_grad
    assert output.loss.dtype is torch.float32


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_gradient_is_clipped_in_true_units(batch, precision):
    setup = Setup(precision)
    before = flat(setup.model)
    setup.step(batch, clip_norm=0.01)
    moved = (flat(setup.model) - before).norm().item()
    assert moved == pytest.approx(0.01, rel=0.01)


def test_a_gradient_below_the_limit_is_left_alone(batch):
    free, clipped = Setup("fp32"), Setup("fp32")
    free.step(batch)
    clipped.step(batch, clip_norm=1e6)
    torch.testing.assert_close(flat(free.model), flat(clipped.model), rtol=1e-6, atol=1e-7)


def test_gradients_do_not_add_up_from_step_to_step(batch):
    setup = Setup("fp32")
    setup.step(batch)
    before = flat(setup.model)
    loss = nn.functional.cross_entropy(setup.model(batch.images), batch.labels)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, setup.model.parameters())])
    setup.step(batch)
    torch.testing.assert_close(flat(setup.model), before - gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fused", [False, True])
def test_fp16_skips_a_step_whose_gradient_overflows_and_goes_on(batch, fused):
    setup = Setup("fp16", fused=fused)
    setup.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = flat(setup.model)
    setup.step(batch)
    assert torch.equal(flat(setup.model), before)
    assert setup.scaler.get_scale() == 2.0**39
    for _ in range(30):
        setup.step(batch)
    assert not torch.equal(flat(setup.model), before)
    assert torch.isfinite(flat(setup.model)).all()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_moves_nothing(batch, value):
    setup = Setup("fp32")
    with torch.no_grad():
        setup.model[1].bias[0] = value
    before = flat(setup.model)
    with pytest.raises(LossIsNotFinite) as error:
        setup.step(batch)
    assert setup.steps == 0
    torch.testing.assert_close(flat(setup.model), before, equal_nan=True)
    assert str(error.value) == (
        "the loss became nan: try a lower rate (--set optim.peak_lr=…), "
        "--set optim.clip_norm=1.0, or --precision fp32"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_message_names_the_value(value):
    with pytest.raises(LossIsNotFinite, match=f"^the loss became {value}: try a lower rate"):
        check_finite(value)
    check_finite(1e30)


def test_no_step_waits_for_an_accelerator(batch):
    """There, reading the loss would stop the queue; `fit` checks it once an epoch."""
    setup = Setup("fp32", device=torch.device("cuda"))  # the tensors are on the CPU all the same
    with torch.no_grad():
        setup.model[1].bias[0] = math.nan
    assert math.isnan(setup.step(batch).loss.item())


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("size", [1, 5, 16, 32, 1_000])
def test_parts_of_a_batch_move_the_weights_as_the_whole(precision, size):
    """Of 32 images; 5 does not divide them, so the parts differ by one image."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(32, 3, 32, 32, generator=rng)
    batch = Batch(images, torch.arange(32) % 10, torch.arange(32))
    results = []
    for micro_batch in (None, size):
        setup = Setup(precision)
        setup.model = nn.Sequential(nn.AvgPool2d(16), setup.model)
        output = setup.step(batch, micro_batch=micro_batch)
        assert setup.steps == 1
        results.append((flat(setup.model), output))
    (whole, expected), (parts, found) = results
    tolerance = 1e-6 if precision == "fp32" else 2e-3
    torch.testing.assert_close(parts, whole, atol=tolerance, rtol=0)
    assert found.loss.item() == pytest.approx(expected.loss.item(), rel=1e-2)
    assert found.metrics["accuracy"].item() == pytest.approx(expected.metrics["accuracy"].item())


def test_a_part_that_is_not_finite_moves_nothing():
    setup = Setup("fp32")
    setup.model = nn.Sequential(nn.AvgPool2d(16), setup.model)
    images = torch.zeros(8, 3, 32, 32)
    images[6] = math.nan
    before = flat(setup.model)
    with pytest.raises(LossIsNotFinite):
        setup.step(Batch(images, torch.zeros(8, dtype=torch.long), torch.arange(8)), micro_batch=2)
    assert torch.equal(flat(setup.model), before)
