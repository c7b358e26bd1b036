"""Mirrors cifar_lessons/models/mobilenet.py."""

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v2 as torchvision_mobilenet_v2

from cifar_lessons.models.mobilenet import Fp32Conv2d, mobilenet_v2


def convolutions(model: nn.Module) -> list[nn.Conv2d]:
    return [m for m in model.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize("width", [0.25, 0.5, 0.75, 1.0, 1.4])
def test_shapes_are_torchvisions_but_for_two_strides(width):
    ours = convolutions(mobilenet_v2(width=width))
    with torch.device("meta"):
        theirs = convolutions(torchvision_mobilenet_v2(width_mult=width))
    assert [c.weight.shape for c in ours] == [c.weight.shape for c in theirs]
    differ = [i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a.stride != b.stride]
    assert differ == [0, 4]  # the stem and the first block of the second stage
    assert all(ours[i].stride == (1, 1) and theirs[i].stride == (2, 2) for i in differ)


def test_equals_torchvisions_network_with_its_weights():
    """With torchvision's two strides set to ours: same weights, same logits."""
    torch.manual_seed(0)
    theirs = torchvision_mobilenet_v2(width_mult=0.5, num_classes=10).eval()
    for index in (0, 4):
        convolutions(theirs)[index].stride = (1, 1)
    ours = mobilenet_v2(width=0.5).eval()
    names = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)
    ours.load_state_dict(dict(names), strict=True)
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)


def test_last_map_is_four_by_four():
    model = mobilenet_v2(width=0.5)
    assert model.layers(torch.zeros(2, 3, 32, 32)).shape == (2, 1280, 4, 4)


def strided_depthwise(model: nn.Module) -> list[nn.Conv2d]:
    return [c for c in convolutions(model) if c.groups > 1 and c.stride == (2, 2)]


@pytest.mark.parametrize("fp32", [True, False])
def test_strided_depthwise_convolutions_compute_in_float32_under_bf16(fp32):
    """Seen where the arithmetic happens: the types that reach the convolution kernel."""
    model = mobilenet_v2(width=0.5, fp32_strided_depthwise=fp32)
    layers = strided_depthwise(model)
    assert len(layers) == 3
    seen: list[tuple[bool, torch.dtype, torch.dtype]] = []

    class Record(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.convolution.default:
                images, weight, stride, groups = args[0], args[1], args[3], args[8]
                seen.append((groups > 1 and stride[0] == 2, images.dtype, weight.dtype))
            return func(*args, **(kwargs or {}))

    with torch.autocast("cpu", torch.bfloat16), Record():
        logits = model(torch.randn(2, 3, 32, 32))
    strided = torch.float32 if fp32 else torch.bfloat16
    assert logits.dtype is torch.bfloat16
    assert [s[1:] for s in seen if s[0]] == [(strided, strided)] * 3
    rest = [s[1:] for s in seen if not s[0]]
    assert rest == [(torch.bfloat16, torch.bfloat16)] * (len(convolutions(model)) - 3)


def test_fp32_convolution_hands_on_the_type_it_got():
    layer = Fp32Conv2d(4, 4, 3, stride=2, padding=1, groups=4, bias=False)
    plain = nn.functional.conv2d
    images = torch.randn(2, 4, 8, 8)
    expected = plain(images.bfloat16().float(), layer.weight, None, 2, 1, 1, 4)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(images.bfloat16())
    assert out.dtype is torch.bfloat16
    torch.testing.assert_close(out, expected.bfloat16(), rtol=0, atol=0)
    assert layer(images).dtype is torch.float32
    assert layer.double()(images.double()).dtype is torch.float64


def test_a_stem_of_stride_2_halves_every_map_and_moves_no_parameter():
    """2x2 places before the mean in place of 4x4: a quarter of the multiplications."""
    full, half = (mobilenet_v2(width=0.5, stem_stride=stride) for stride in (1, 2))
    assert [p.shape for p in half.parameters()] == [p.shape for p in full.parameters()]
    x = torch.zeros(1, 3, 32, 32)
    assert full.eval().layers(x).shape[2:] == (4, 4)
    assert half.eval().layers(x).shape[2:] == (2, 2)


def test_another_stride_of_the_stem_is_refused():
    with pytest.raises(ValueError, match="stem_stride must be 1 or 2, got 4"):
        mobilenet_v2(stem_stride=4)
