"""ResNet-18, -34 and -50 for 32x32 images, with switches that take their ideas out.

Source: He et al. (2016), arXiv:1512.03385, table 1, with the stem that CIFAR ports share: one
3x3 convolution with stride 1 and no max-pool, so that the last map is 4x4 and not 1x1.
Parameters at 10 classes: 11,173,962, 21,282,122 and 23,520,842.

Weights start from PyTorch's defaults (uniform with variance 1 / (3 fan_in) for convolutions),
as in the widely used CIFAR ports, not from the paper's He normal. Batch norm makes the scale of
a convolution's weights cancel in what it gives (not in how fast its direction learns: chapter 4).
Without it (`norm=False`) there is no special initialisation either, and a deep network without
skips then passes almost no signal on. That is part of what the ablation measures.
"""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from cifar_lessons.models.base import Classifier

# Up to PyTorch 2.14 (oneDNN 3.12) a CPU's backward pass of a 1x1 convolution with stride 2 and
# fewer channels than this writes past its workspace: wrong gradients, or a crash
# (github.com/uxlfoundation/oneDNN, issue 6035).
FEW_CHANNELS = 16


class PickedConv(nn.Conv2d):
    """A 1x1 convolution that leaves out the pixels of its stride first: the same sums."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        rows, columns = self.stride
        return F.conv2d(x[:, :, ::rows, ::columns], self.weight, self.bias)


def _conv(inputs: int, outputs: int, size: int, *, stride: int = 1, norm: bool) -> nn.Conv2d:
    """Return a convolution that keeps the image's size but for its stride."""
    kind = PickedConv if size == 1 and stride > 1 and inputs < FEW_CHANNELS else nn.Conv2d
    # Without batch norm, whose shift does that work, the convolution has a bias.
    return kind(inputs, outputs, size, stride=stride, padding=size // 2, bias=not norm)


def _norm(channels: int, *, norm: bool) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm else nn.Identity()


def _shortcut(
    inputs: int, outputs: int, *, stride: int, skip: bool, norm: bool
) -> nn.Sequential | None:
    """Return the way around a block: nothing to compute, a 1x1 projection, or no way at all."""
    if not skip:
        return None
    if stride == 1 and inputs == outputs:
        return nn.Sequential()
    return nn.Sequential(
        _conv(inputs, outputs, 1, stride=stride, norm=norm), _norm(outputs, norm=norm)
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, and the input added to their output."""

    expansion = 1

    def __init__(self, inputs: int, width: int, *, stride: int, skip: bool, norm: bool) -> None:
        """Build a block from `inputs` to `width` channels."""
        super().__init__()
        self.conv1 = _conv(inputs, width, 3, stride=stride, norm=norm)
        self.bn1 = _norm(width, norm=norm)
        self.conv2 = _conv(width, width, 3, norm=norm)
        self.bn2 = _norm(width, norm=norm)
        self.shortcut = _shortcut(inputs, width, stride=stride, skip=skip, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, width, H / stride, W / stride)."""
        out: Tensor = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        if self.shortcut is not None:
            out += self.shortcut(x)
        return F.relu(out, inplace=True)


class Bottleneck(nn.Module):
    """A 1x1 convolution down, a 3x3, and a 1x1 up to four times the width; the input added."""

    expansion = 4

    def __init__(self, inputs: int, width: int, *, stride: int, skip: bool, norm: bool) -> None:
        """Build a block from `inputs` to `4 * width` channels."""
        super().__init__()
        outputs = self.expansion * width
        self.conv1 = _conv(inputs, width, 1, norm=norm)
        self.bn1 = _norm(width, norm=norm)
        # The stride sits on the 3x3, as in today's ports; the paper had it on the first 1x1.
        self.conv2 = _conv(width, width, 3, stride=stride, norm=norm)
        self.bn2 = _norm(width, norm=norm)
        self.conv3 = _conv(width, outputs, 1, norm=norm)
        self.bn3 = _norm(outputs, norm=norm)
        self.shortcut = _shortcut(inputs, outputs, stride=stride, skip=skip, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, 4 * width, H / stride, W / stride)."""
        out: Tensor = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        if self.shortcut is not None:
            out += self.shortcut(x)
        return F.relu(out, inplace=True)


class ResNet(Classifier):
    """A 3x3 stem, four stages of blocks, the mean over positions, and a linear head."""

    last_stage = "layer4"

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        *,
        num_classes: int,
        width: int,
        skip: bool,
        norm: bool,
    ) -> None:
        """Build it with `depths[i]` blocks in stage i; the rest as in `resnet18`.

        Raises:
            ValueError: `width` is below 1.
        """
        if width < 1:
            raise ValueError(f"width must be >= 1, got {width}; 64 is the paper's")
        super().__init__(feature_dim=8 * width * block.expansion, num_classes=num_classes)
        self.conv1 = _conv(3, width, 3, norm=norm)
        self.bn1 = _norm(width, norm=norm)
        inputs = width
        stages = []
        for stage, depth in enumerate(depths):
            blocks = []
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(block(inputs, width * 2**stage, stride=stride, skip=skip, norm=norm))
                inputs = width * 2**stage * block.expansion
            stages.append(nn.Sequential(*blocks))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.head = nn.Linear(self.feature_dim, num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Return (B, 8 * width * expansion) from (B, 3, 32, 32)."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)  # (B, width, 32, 32)
        x = self.layer2(self.layer1(x))  # (B, 2 * width * expansion, 16, 16)
        x = self.layer4(self.layer3(x))  # (B, 8 * width * expansion, 4, 4)
        return F.adaptive_avg_pool2d(x, 1).flatten(1)


def resnet18(
    *, num_classes: int = 10, width: int = 64, skip: bool = True, norm: bool = True
) -> ResNet:
    """Return ResNet-18 (two BasicBlocks a stage): 11,173,962 parameters at 10 classes.

    Args:
        num_classes: K >= 2.
        width: Channels of the stem and the first stage, >= 1; the later stages have 2, 4 and 8
            times as many.
        skip: False leaves out every shortcut, projections too: a plain network of equal depth.
        norm: False leaves out batch norm and gives the convolutions biases.

    Raises:
        ValueError: A value outside its range.
    """
    return ResNet(
        BasicBlock, (2, 2, 2, 2), num_classes=num_classes, width=width, skip=skip, norm=norm
    )


def resnet34(
    *, num_classes: int = 10, width: int = 64, skip: bool = True, norm: bool = True
) -> ResNet:
    """Return ResNet-34 (BasicBlocks): 21,282,122 parameters. Arguments as for `resnet18`."""
    return ResNet(
        BasicBlock, (3, 4, 6, 3), num_classes=num_classes, width=width, skip=skip, norm=norm
    )


def resnet50(
    *, num_classes: int = 10, width: int = 64, skip: bool = True, norm: bool = True
) -> ResNet:
    """Return ResNet-50 (Bottlenecks): 23,520,842 parameters. Arguments as for `resnet18`."""
    return ResNet(
        Bottleneck, (3, 4, 6, 3), num_classes=num_classes, width=width, skip=skip, norm=norm
    )


def to_common_names(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a ResNet's weights under the names that most CIFAR ports use.

    The names are conv1, bn1, layer1.0.conv1 … layer4.1.bn2, layer2.0.shortcut.0 and linear.
    Ours differ in the last alone: `head` becomes `linear`.
    """
    return {
        "linear." + name.removeprefix("head.") if name.startswith("head.") else name: tensor
        for name, tensor in state_dict.items()
    }
