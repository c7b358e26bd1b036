"""MobileNetV2 for 32x32 images.

Source: Sandler et al. (2018), arXiv:1801.04381, table 2, with torchvision's rounding of
channels. For 32x32 the stem and the second stage keep the image's size (stride 1, not 2), so
that the last map is 4x4. With `stem_stride=2` it is 2x2, at a quarter of the multiplications
(as `mobile_half` of Tian et al., 2019, RepDistiller). Parameters at 10 classes: 2,236,682 at width
1.0, 1,368,234 at 0.75 and 700,490 at 0.5. No dropout; PyTorch's default initialisation.
"""

import torch
from torch import Tensor, nn

from cifar_lessons.models.base import Classifier

# Per stage: expansion, channels at width 1.0, blocks, stride of the first block.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),  # stride 2 in the paper
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _round_channels(channels: float) -> int:
    """Return the nearest multiple of 8, at least 8 and at least 90 % of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


class Fp32Conv2d(nn.Conv2d):
    """A convolution that computes in float32 even under autocast on a CPU.

    A CPU's bfloat16 backward of a depthwise convolution with stride 2 takes 39 to 171 times as
    long as float32's (Zen 4, PyTorch 2.14). On other devices it is an ordinary convolution.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) as `nn.Conv2d` does; the result has the type of `x`."""
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)


def _conv_bn_relu(
    inputs: int,
    outputs: int,
    size: int,
    *,
    stride: int = 1,
    groups: int = 1,
    conv: type[nn.Conv2d] = nn.Conv2d,
) -> list[nn.Module]:
    """Return a convolution without bias, its batch norm, and ReLU6 (clips at 6)."""
    return [
        conv(inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    ]


class InvertedResidual(nn.Module):
    """Widen with a 1x1, filter each channel alone with a 3x3, narrow with a linear 1x1."""

    def __init__(
        self, inputs: int, outputs: int, *, expansion: int, stride: int, fp32_strided: bool
    ) -> None:
        """Build a block; the input is added where its shape is the output's."""
        super().__init__()
        self.adds_input = stride == 1 and inputs == outputs
        wide = inputs * expansion
        depthwise = Fp32Conv2d if fp32_strided and stride > 1 else nn.Conv2d
        layers = [] if expansion == 1 else _conv_bn_relu(inputs, wide, 1)
        layers += _conv_bn_relu(wide, wide, 3, stride=stride, groups=wide, conv=depthwise)
        layers += [nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        out: Tensor = self.layers(x)
        return x + out if self.adds_input else out


class MobileNetV2(Classifier):
    """A 3x3 stem, 17 inverted residuals, a 1x1 to 1,280 channels, the mean, a linear head."""

    last_stage = "layers"

    def __init__(
        self, *, num_classes: int, width: float, stem_stride: int, fp32_strided_depthwise: bool
    ) -> None:
        """Build it; the arguments are those of `mobilenet_v2`."""
        # Narrow networks keep the 1,280 features (source, section 4 on the width multiplier).
        last = _round_channels(1280 * max(1.0, width))
        super().__init__(feature_dim=last, num_classes=num_classes)
        channels = _round_channels(32 * width)
        layers = _conv_bn_relu(3, channels, 3, stride=stem_stride)
        for expansion, base, blocks, first_stride in STAGES:
            outputs = _round_channels(base * width)
            for index in range(blocks):
                layers.append(
                    InvertedResidual(
                        channels,
                        outputs,
                        expansion=expansion,
                        stride=first_stride if index == 0 else 1,
                        fp32_strided=fp32_strided_depthwise,
                    )
                )
                channels = outputs
        layers += _conv_bn_relu(channels, last, 1)
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(last, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Return (B, 1280), or (B, 1280 * width) where wider, from (B, 3, 32, 32)."""
        x = self.layers(x)  # (B, D, 4, 4), or half that side with a stem of stride 2
        return nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)


def mobilenet_v2(
    *,
    num_classes: int = 10,
    width: float = 1.0,
    stem_stride: int = 1,
    fp32_strided_depthwise: bool = True,
) -> MobileNetV2:
    """Return MobileNetV2 with CIFAR strides: 2,236,682 parameters at width 1.0.

    Args:
        num_classes: K >= 2.
        width: Factor on the channels of every layer but the last, > 0; 0.75 and 0.5 are usual.
        stem_stride: 1 keeps the image's size in the first layer; 2 halves it, for a fast student.
        fp32_strided_depthwise: Keep the three depthwise convolutions with stride 2 in float32
            under autocast on a CPU, where bfloat16 is very slow; see `Fp32Conv2d`.

    Raises:
        ValueError: A value outside its range.
    """
    if width <= 0:
        raise ValueError(f"width must be > 0, got {width}; 1.0 is the paper's")
    if stem_stride not in (1, 2):
        raise ValueError(f"stem_stride must be 1 or 2, got {stem_stride}; 1 suits 32x32")
    return MobileNetV2(
        num_classes=num_classes,
        width=width,
        stem_stride=stem_stride,
        fp32_strided_depthwise=fp32_strided_depthwise,
    )
