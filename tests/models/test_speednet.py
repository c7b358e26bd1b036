"""Mirrors cifar_lessons/models/speednet.py."""

import pytest
import torch
from torch import Tensor, nn

from cifar_lessons.errors import UserError
from cifar_lessons.models import build_model
from cifar_lessons.models.speednet import NearIdentity, SpeedNet, whitening_filters


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Smooth patterns: neighbours are alike and colours too, as in photographs."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.randn(400, 3, 8, 8, generator=rng)
    coarse[:, 1:] = coarse[:, :1] + 0.3 * coarse[:, 1:]
    smooth = nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")
    return smooth + 0.1 * torch.randn(400, 3, 32, 32, generator=rng)


@pytest.fixture
def small() -> SpeedNet:
    torch.manual_seed(0)
    return build_model("speednet", widths=[24, 32, 40])


def test_what_comes_out_of_the_whitening_layer_is_white(images):
    """Uncorrelated, variance 1; without eps that is exact."""
    out = nn.functional.conv2d(images, whitening_filters(images, eps=0.0))
    flat = out.permute(0, 2, 3, 1).reshape(-1, 24)[:, :12]
    torch.testing.assert_close(flat.T @ flat / len(flat), torch.eye(12), atol=2e-3, rtol=0)


def test_the_second_half_of_the_filters_is_the_first_with_the_other_sign(images):
    filters = whitening_filters(images)
    assert filters.shape == (24, 3, 2, 2)
    assert torch.equal(filters[12:], -filters[:12])


def test_directions_that_never_occur_stay_small():
    """A grey image has one colour: eps keeps the others from being blown up."""
    grey = torch.randn(50, 1, 32, 32, generator=torch.Generator().manual_seed(0)).expand(
        -1, 3, -1, -1
    )
    filters = whitening_filters(grey)
    assert filters.isfinite().all()
    assert filters.flatten(1).norm(dim=1).max() < 1.001 / 5e-4**0.5


def test_bf16_agrees_with_fp32_on_the_whitening_layer(images):
    """A 2x2 convolution in bf16 has given wrong results in earlier releases of PyTorch."""
    filters = whitening_filters(images)
    exact = nn.functional.conv2d(images.bfloat16().double(), filters.bfloat16().double())
    for memory_format in (torch.contiguous_format, torch.channels_last):
        batch = images.contiguous(memory_format=memory_format)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = nn.functional.conv2d(batch, filters)
        assert half.dtype is torch.bfloat16
        # Both sides begin with the same rounded numbers, so only the result's rounding is left.
        torch.testing.assert_close(half.double(), exact, rtol=2**-8, atol=1e-3)


def test_prepare_sets_the_stem_and_training_leaves_it(small, images):
    small.prepare(images)
    assert torch.equal(small.stem.weight, whitening_filters(images))
    small(images[:4]).sum().backward()
    assert small.stem.weight.grad is None
    assert small.stem.bias.grad is not None


def test_without_whitening_the_stem_is_trained_like_the_rest(images):
    model = build_model("speednet", widths=[24, 32, 40], whiten=False)
    before = model.stem.weight.detach().clone()
    model.prepare(images)
    assert torch.equal(model.stem.weight, before)
    model(images[:4]).sum().backward()
    assert model.stem.weight.grad.abs().sum() > 0


def test_the_first_filters_copy_their_channel():
    torch.manual_seed(0)
    layer, x = NearIdentity(24, 64), torch.randn(2, 24, 5, 5)
    out = layer(x)
    torch.testing.assert_close(out[:, :24], x, atol=1e-6, rtol=0)
    assert out[:, 24:].std() > 0.1


def test_scales_of_batch_norm_are_fixed_and_shifts_are_learned(small):
    norms = [m for m in small.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 6
    assert not any(m.weight.requires_grad for m in norms)
    assert all(m.bias.requires_grad for m in norms)


@pytest.mark.parametrize("side", [10, 16, 20, 26, 32])
def test_small_images_fit(small, side):
    assert small(torch.randn(2, 3, side, side)).shape == (2, 10)


def test_the_head_begins_small(small):
    """Its logits are those of the source: features times weights of spread 1, divided by D."""
    assert small.head.weight.std().item() == pytest.approx(1 / 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [64, 256]}, r"widths must be three numbers >= 24, got \[64, 256\]"),
        ({"widths": [16, 64, 64]}, r"widths must be three numbers >= 24, got \[16, 64, 64\]"),
        ({"norm_momentum": 0.0}, r"norm_momentum must lie in \(0, 1\], got 0.0"),
    ],
)
def test_values_out_of_range(options, message):
    with pytest.raises(UserError, match=message):
        build_model("speednet", **options)
