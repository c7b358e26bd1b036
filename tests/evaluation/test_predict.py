"""Mirrors cifar_lessons/evaluation/predict.py."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from cifar_lessons.config import AugmentConfig, DataConfig
from cifar_lessons.data.cifar import Split, synthetic
from cifar_lessons.errors import AlreadyTold
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.joining import joined
from cifar_lessons.runtime import Runtime

CPU = torch.device("cpu")
FP32 = Runtime(device=CPU, precision="fp32")
# Were anything augmented, predictions would move.
DATA = DataConfig(augment=AugmentConfig(flip="random", crop_padding=4, cutout=16))


@pytest.fixture(scope="module")
def split() -> Split:
    return synthetic(num_train=40, num_test=37, val_size=10).test


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(4 * 8 * 8, 10),
    )


def by_hand(model: nn.Module, split: Split) -> np.ndarray:
    """One image at a time, normalised as the formula says."""
    model.eval()
    mean, std = (torch.tensor(x)[:, None, None] for x in (DATA.mean, DATA.std))
    with torch.no_grad():
        rows = [model(((image.float() / 255 - mean) / std)[None])[0] for image in split.images]
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("batch_size", [1, 10, 37, 500])
def test_logits_come_in_the_order_of_the_split(model, split, batch_size):
    """Also when the last batch is short."""
    found = predict(model, split, DATA, runtime=FP32, batch_size=batch_size)
    np.testing.assert_allclose(found.logits, by_hand(model, split), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.labels, split.labels.numpy())
    assert found.logits.dtype == np.float32


def test_the_model_is_set_to_evaluation_and_left_unchanged(model, split):
    model.train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    first, second = (predict(model, split, DATA, runtime=FP32).logits for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not model.training
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_low_precision_gives_float32_logits_near_the_exact_ones(model, split):
    exact = predict(model, split, DATA, runtime=FP32).logits
    low = predict(model, split, DATA, runtime=Runtime(device=CPU, precision="bf16")).logits
    assert low.dtype == np.float32
    assert not np.array_equal(low, exact)
    np.testing.assert_allclose(low, exact, atol=0.03)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_network_that_diverged_is_told(model, split, value):
    with torch.no_grad():
        model[-1].bias[3] = value
    with pytest.raises(FloatingPointError) as error:
        predict(model, split, DATA, runtime=FP32)
    assert str(error.value).startswith("the network gives NaN or infinity for 37 of 37 images: ")
    assert "--set optim.peak_lr" in str(error.value)


# --- shared by several processes --------------------------------------------------------------


def on_ranks(batch_size: int, precision: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Predict a split of 37, and count the images that this rank looked at."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.Flatten())
    model.append(nn.Linear(4 * 8 * 8, 10))
    seen = 0

    def count(_model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal seen
        seen += len(inputs[0])

    model.register_forward_pre_hook(count)
    with joined(60) as group:
        found = predict(
            model,
            synthetic(num_train=40, num_test=37, val_size=10).test,
            DATA,
            runtime=Runtime(device=CPU, precision=precision, group=group),
            batch_size=batch_size,
        )
        return found.logits, found.labels, seen


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("batch_size", [5, 37])
def test_logits_are_equal_byte_for_byte_at_any_number_of_processes(ranks, batch_size, precision):
    """Ranks share whole batches, so a layer sees the shapes that one process would give it.

    Nothing is padded: each image is predicted once, by one rank; with one batch two ranks rest.
    """
    alone = on_ranks(batch_size, precision)
    for size in (2, 3):
        found = ranks.values(on_ranks, batch_size, precision, size=size)
        for logits, labels, _ in found:
            assert logits.tobytes() == alone[0].tobytes()
            np.testing.assert_array_equal(labels, alone[1])
        assert sum(seen for *_, seen in found) == alone[2] == 37


def test_batches_of_other_sizes_give_the_same_logits_but_for_rounding():
    """What sharing single images out would cost: here the shapes differ, and with them the bits."""
    first, second = (on_ranks(batch_size, "fp32")[0] for batch_size in (5, 37))
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def diverged() -> str:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    split = synthetic(num_train=40, num_test=37, val_size=10).test
    split.images[-1] = 7  # in the share of the last rank alone

    def spoil(_model: nn.Module, inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
        out[(inputs[0].std(dim=(2, 3)) < 1e-6).all(1)] = math.nan

    model.register_forward_hook(spoil)
    with joined(60) as group:
        try:
            runtime = Runtime(device=CPU, precision="fp32", group=group)
            predict(model, split, DATA, runtime=runtime, batch_size=5)
        except (FloatingPointError, AlreadyTold) as error:
            return f"{type(error).__name__}: {error}"
        return "nothing was noticed"


def test_nan_in_the_share_of_one_rank_is_told_once(ranks):
    first, second = ranks.values(diverged)
    assert first.startswith("FloatingPointError: the network gives NaN or infinity for 1 of 37")
    assert second.startswith("AlreadyTold: the network gives NaN or infinity for 1 of 37 images")
