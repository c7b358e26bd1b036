"""SpeedNet: a small network that reaches 94 % in minutes, because every layer earns its time.

The shape is that of the speedruns; the code is ours. Where each idea comes from:

- a first layer that whitens patches, computed from the images and never trained: Page (2019, "How
  to Train Your ResNet", part 8); of 2x2, frozen and with both signs: Balsam (2023, hlb-CIFAR10);
- scales of batch norm that don't learn, and pooling before normalisation and activation, which
  then touch a quarter of the numbers: Page (2019, part 8);
- a fast memory of batch norm's statistics: Balsam (2023);
- first filters that are the identity: Jordan (2024), arXiv:2404.00498, section 3.3, after Balsam.

What is different here: the last pool takes the maximum over whatever is left, so that images of
any side from 10 pixels fit (training begins with small ones), and the head is a plain linear
layer. The source divides its logits by the number of features, D; a head whose weights start D
times smaller and learn at a rate D**2 times smaller does the same.
"""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_lessons.models.base import Classifier


class NearIdentity(nn.Conv2d):
    """A 3x3 convolution that starts by copying its input; spare channels start at random."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Build it without bias: a batch norm follows."""
        super().__init__(inputs, outputs, 3, padding=1, bias=False)

    def reset_parameters(self) -> None:
        """Draw PyTorch's default weights, then make the first filters copy one channel each."""
        super().reset_parameters()
        nn.init.dirac_(self.weight.data[: self.in_channels])


def _norm(channels: int, momentum: float) -> nn.BatchNorm2d:
    """Return a batch norm with its scale fixed at 1: only the shift is learned."""
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=momentum)
    norm.weight.requires_grad = False
    return norm


class Group(nn.Module):
    """Two 3x3 convolutions; after the first the image is halved."""

    def __init__(self, inputs: int, outputs: int, *, norm_momentum: float) -> None:
        """Build a group from `inputs` to `outputs` channels."""
        super().__init__()
        self.conv1, self.norm1 = NearIdentity(inputs, outputs), _norm(outputs, norm_momentum)
        self.conv2, self.norm2 = NearIdentity(outputs, outputs), _norm(outputs, norm_momentum)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, H // 2, W // 2)."""
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        x = F.gelu(self.norm2(self.conv2(x)))
        return x


class SpeedNet(Classifier):
    """A whitening layer, three groups, the maximum over positions, and a linear head."""

    last_stage = "groups"

    def __init__(
        self, *, num_classes: int, widths: Sequence[int], norm_momentum: float, whiten: bool
    ) -> None:
        """Build it; the arguments are those of `speednet`."""
        super().__init__(feature_dim=widths[-1], num_classes=num_classes)
        # 2x2 patches of 3 colours have 12 directions; both signs of each, as GELU keeps one.
        self.stem = nn.Conv2d(3, 24, 2)
        self.whiten = whiten
        if whiten:
            self.stem.weight.requires_grad = False
        ends = [24, *widths]
        self.groups = nn.Sequential(
            *(
                Group(inputs, outputs, norm_momentum=norm_momentum)
                for inputs, outputs in itertools.pairwise(ends)
            )
        )
        self.head = nn.Linear(self.feature_dim, num_classes, bias=False)
        with torch.no_grad():
            self.head.weight.div_(self.head.weight.std() * self.feature_dim)

    def prepare(self, images: Tensor) -> None:
        """Set the stem to whiten patches of these images."""
        if self.whiten:
            with torch.no_grad():
                self.stem.weight.copy_(whitening_filters(images))

    def features(self, x: Tensor) -> Tensor:
        """Return (B, widths[-1]) from (B, 3, S, S), S >= 10."""
        x = F.gelu(self.stem(x))  # (B, 24, S - 1, S - 1)
        x = self.groups(x)  # (B, D, 3, 3) at S = 32
        return F.adaptive_max_pool2d(x, 1).flatten(1)


def whitening_filters(images: Tensor, *, eps: float = 5e-4) -> Tensor:
    """Return filters that turn 2x2 patches into uncorrelated numbers of variance 1.

    The filters are the eigenvectors of the covariance of patches, each divided by the square root
    of its eigenvalue, and then the same with the other sign.

    Args:
        images: Normalised, (N, 3, H, W) float; some thousands are enough.
        eps: Added to each eigenvalue, so that directions which hardly occur are not blown up.

    Returns:
        (24, 3, 2, 2) float32, on the device of the images.
    """
    patches = images.float().unfold(2, 2, 1).unfold(3, 2, 1)  # (N, 3, H - 1, W - 1, 2, 2)
    flat = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
    # The mean is left in, as in the source: images are normalised, so it is near 0. On the CPU,
    # since the eigenvectors of a 12x12 matrix are too small a task for an accelerator.
    covariance = (flat.T @ flat / len(flat)).cpu()
    values, vectors = torch.linalg.eigh(covariance)  # ascending; eigenvectors are columns
    filters = (vectors / (values + eps).sqrt()).T.reshape(12, 3, 2, 2)
    return torch.cat([filters, -filters]).to(images.device)


def speednet(
    *,
    num_classes: int = 10,
    widths: Sequence[int] = (64, 256, 256),
    norm_momentum: float = 0.4,
    whiten: bool = True,
) -> SpeedNet:
    """Return SpeedNet: 1,971,352 trained parameters and 1,440 fixed ones at its defaults.

    Args:
        num_classes: K >= 2.
        widths: Channels of the three groups, each >= 24, so that the first can copy the stem.
        norm_momentum: Share of the running statistics that each forward pass replaces, in (0, 1].
            A batch done in n parts updates them n times: 1 - (1 - m) ** (1 / n) then remembers
            as long as m does for a whole batch.
        whiten: False leaves the stem to chance and trains it like the rest.

    Raises:
        ValueError: A value outside its range.
    """
    if len(widths) != 3 or min(widths) < 24:
        raise ValueError(
            f"widths must be three numbers >= 24, got {list(widths)}; try [64, 256, 256]"
        )
    if not 0 < norm_momentum <= 1:
        raise ValueError(f"norm_momentum must lie in (0, 1], got {norm_momentum}; try 0.4")
    return SpeedNet(
        num_classes=num_classes, widths=widths, norm_momentum=norm_momentum, whiten=whiten
    )
