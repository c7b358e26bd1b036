"""Mirrors cifar_lessons/training/schedule.py: against PyTorch's schedulers where there is one."""

import itertools
import random

import pytest
import torch
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
)

from cifar_lessons.config import ScheduleConfig
from cifar_lessons.training.schedule import lr_factor, plateau_factor, rate_at

STEPS, EPOCHS = 7, 20  # a total of 140


def factors(config: ScheduleConfig, *, steps: int = STEPS, epochs: int = EPOCHS) -> list[float]:
    return [
        lr_factor(config, step, steps_per_epoch=steps, epochs=epochs)
        for step in range(steps * epochs)
    ]


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def pytorch(scheduler: LRScheduler) -> list[float]:
    rates = []
    for _ in range(STEPS * EPOCHS):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def test_cosine_is_that_of_pytorch():
    expected = pytorch(CosineAnnealingLR(optimizer(), T_max=STEPS * EPOCHS))
    assert factors(ScheduleConfig(name="cosine")) == pytest.approx(expected, abs=1e-9)


def test_step_is_that_of_pytorch():
    config = ScheduleConfig(name="step", milestones=(0.3, 0.5, 0.9), factor=0.2)
    expected = pytorch(MultiStepLR(optimizer(), milestones=[42, 70, 126], gamma=0.2))
    assert factors(config) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_one_cycle_is_that_of_pytorch_in_straight_lines_between_the_same_ends(share):
    total, rise = STEPS * EPOCHS, share * STEPS * EPOCHS
    scheduler = OneCycleLR(
        optimizer(),
        max_lr=1.0,
        total_steps=total,
        pct_start=(rise + 1) / total,
        div_factor=rise + 1,
        final_div_factor=(total - rise) / (rise + 1),
        anneal_strategy="linear",
        cycle_momentum=False,
    )
    config = ScheduleConfig(name="one_cycle", warmup_share=share)
    assert factors(config) == pytest.approx(pytorch(scheduler)[:total], abs=1e-9)


@pytest.mark.parametrize("patience", [0, 1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_plateau_is_that_of_pytorch(patience, seed):
    """On losses that fall, stand still, rise, and improve by less than the threshold."""
    rng = random.Random(seed)
    losses, loss = [], 2.0
    for _ in range(60):
        loss *= rng.choice([0.9, 1.0, 1.1, 1 - 0.5e-4, 1 - 1.5e-4])
        losses.append(loss)
    its_own = optimizer()
    scheduler = ReduceLROnPlateau(its_own, factor=0.5, patience=patience, eps=0.0)
    for epoch in range(len(losses)):
        scheduler.step(losses[epoch])
        found = plateau_factor(losses[: epoch + 1], patience=patience, factor=0.5)
        assert found == pytest.approx(its_own.param_groups[0]["lr"], rel=1e-9), epoch
    assert found < 1  # guards this test: the rate did fall


def test_plateau_reads_the_losses_of_finished_epochs():
    config = ScheduleConfig(name="plateau", patience=1, factor=0.1)
    found = [
        lr_factor(config, 0, steps_per_epoch=1, epochs=9, val_losses=losses)
        for losses in ([], [1.0], [1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.5])
    ]
    assert found == pytest.approx([1.0, 1.0, 1.0, 0.1, 0.1])


def test_constant_is_constant():
    assert factors(ScheduleConfig(name="constant")) == [1.0] * STEPS * EPOCHS


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_one_cycle_rises_and_falls_in_straight_lines(share):
    found = factors(ScheduleConfig(name="one_cycle", warmup_share=share))
    top = found.index(max(found))
    assert top == round(share * STEPS * EPOCHS)
    assert found[top] == 1.0
    assert 0 < found[0] < 2 / top
    assert 0 < found[-1] < 2 / (len(found) - top)
    for line in (found[: top + 1], found[top:]):
        slopes = {round(b - a, 9) for a, b in itertools.pairwise(line)}
        assert len(slopes) == 1


@pytest.mark.parametrize("name", ["constant", "step", "cosine", "cosine_restarts", "plateau"])
def test_warmup_rises_to_where_the_schedule_begins(name):
    config = ScheduleConfig(name=name, warmup_epochs=2.0)
    found = factors(config)
    rising = found[: 2 * STEPS]
    assert rising == pytest.approx([(k + 1) / (2 * STEPS + 1) for k in range(2 * STEPS)])
    assert found[2 * STEPS] == 1.0


def test_cosine_after_a_warmup_still_ends_at_the_end():
    found = factors(ScheduleConfig(name="cosine", warmup_epochs=5.0))
    assert 0 < found[-1] < 1e-3
    assert found[5 * STEPS :] == sorted(found[5 * STEPS :], reverse=True)


@pytest.mark.parametrize("name", ["constant", "step", "cosine", "plateau", "one_cycle"])
@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (1, 2), (3, 1), (352, 12)])
@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0])
def test_the_factor_stays_above_0_and_at_most_1(name, steps, epochs, warmup):
    found = factors(ScheduleConfig(name=name, warmup_epochs=warmup), steps=steps, epochs=epochs)
    assert min(found) > 0
    assert max(found) <= 1


def test_linear_falls_from_the_peak_to_just_above_zero():
    found = factors(ScheduleConfig(name="linear"), steps=5, epochs=2)
    assert found == pytest.approx([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_linear_after_a_warm_up():
    found = factors(ScheduleConfig(name="linear", warmup_epochs=1.0), steps=4, epochs=2)
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 0.75, 0.5, 0.25])


def test_weights_that_move_over_a_part_of_the_run_have_the_whole_schedule_in_it():
    linear = ScheduleConfig(name="linear")
    kwargs = {"peak_lr": 2.0, "steps_per_epoch": 5, "epochs": 4}
    found = [rate_at(linear, step, 0.5, **kwargs) for step in range(20)]
    assert found[:10] == pytest.approx([2 * (1 - step / 10) for step in range(10)])
    assert found[10:] == [0.0] * 10
    whole = [rate_at(linear, step, **kwargs) for step in range(20)]
    assert whole == pytest.approx([2 * (1 - step / 20) for step in range(20)])


def test_cosine_with_restarts_is_that_of_pytorch_and_ends_at_its_floor():
    """Cycles of 3, 6 and 12 epochs, the last one cut off."""
    found = factors(ScheduleConfig(name="cosine_restarts", cycle=3.0, floor=0.1))
    theirs = CosineAnnealingWarmRestarts(optimizer(), T_0=3 * STEPS, T_mult=2, eta_min=0.1)
    assert found == pytest.approx(pytorch(theirs), abs=1e-9)
    assert found[3 * STEPS] == found[9 * STEPS] == 1.0
    assert 0.1 < found[3 * STEPS - 1] < 0.12
