"""A network of ENAS's macro space, alone or with all others inside it.

Source: github.com/melodyguan/enas, `src/cifar10/general_child.py`, of Pham et al. (2018),
arXiv:1802.03268: the 1x1 before each operation, the sum of a layer and its skips with a batch norm
after it, and the halving of *all* earlier inputs. Departures, all to fit two CPU cores or to keep
one question at a time:

- The stem has stride 2, so layers work on 16, 8 and 4 pixels: a quarter of the work.
- Channels double where maps are halved, in the shared network too; there they do so only in the
  final networks. And skips are added in the final networks too, where the source joins them with
  a 1x1 convolution. So a network alone is the very one that was scored with shared weights.
- Shared weights are normalised by the statistics of the batch, in evaluation too: a running mean
  over thousands of different networks belongs to none of them.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_lessons.enas.space import OPERATIONS, Architecture, halved_after, parse, plain
from cifar_lessons.models.base import Classifier
from cifar_lessons.models.mobilenet import Fp32Conv2d

DEFAULT = str(plain(["c3"] * 6))


class Halve(nn.Module):
    """Halve the sides and double the channels: (B, C, H, W) to (B, 2C, H / 2, W / 2).

    The "factorized reduction" of the source: one 1x1 convolution sees the pixels of even rows and
    columns, another one those of odd rows and columns. The source says "without information
    loss"; half of the pixels are never looked at.
    """

    def __init__(self, channels: int, *, running: bool) -> None:
        """Build the two convolutions."""
        super().__init__()
        self.even = nn.Conv2d(channels, channels, 1, bias=False)
        self.odd = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(2 * channels, track_running_stats=running)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 2C, H / 2, W / 2), rounded up."""
        shifted = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))[:, :, 1::2, 1::2]
        # Cut out before the convolution: a strided one is slow on a CPU. On MPS channels_last is
        # not safe (`runtime.layout`), and nothing is in it there.
        layout = torch.contiguous_format if x.device.type == "mps" else torch.channels_last
        parts = [
            conv(part.contiguous(memory_format=layout))
            for conv, part in ((self.even, x[:, :, ::2, ::2]), (self.odd, shifted))
        ]
        out: Tensor = self.norm(torch.cat(parts, dim=1))
        return out


def _operation(name: str, channels: int, *, running: bool) -> nn.Sequential:
    """Return a 1x1 convolution and the operation; (B, C, H, W) keeps its shape."""

    def conv(size: int, *, groups: int = 1) -> nn.Conv2d:
        # A CPU's depthwise 5x5 takes two to six times as long in bfloat16 as in float32.
        kind = Fp32Conv2d if groups > 1 and size == 5 else nn.Conv2d
        return kind(channels, channels, size, padding=size // 2, groups=groups, bias=False)

    def settle() -> list[nn.Module]:
        return [nn.BatchNorm2d(channels, track_running_stats=running), nn.ReLU(inplace=True)]

    layers = [conv(1), *settle()]
    if name.startswith("c"):
        layers += [conv(int(name[1])), *settle()]
    elif name.startswith("s"):
        layers += [conv(int(name[1]), groups=channels), conv(1), *settle()]
    elif name == "ap":
        layers += [nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)]
    else:
        layers += [nn.MaxPool2d(3, stride=1, padding=1)]
    return nn.Sequential(*layers)


class EnasNetwork(Classifier):
    """A stem, N layers with skips, the mean over positions, a linear head."""

    def __init__(
        self,
        architecture: Architecture,
        *,
        width: int,
        num_classes: int,
        dropout: float = 0.0,
        shared: bool = False,
    ) -> None:
        """Build what the architecture needs; `shared` builds what any of the space may need."""
        super().__init__(feature_dim=4 * width, num_classes=num_classes)
        self.architecture = architecture
        running = not shared
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width, track_running_stats=running),
        )
        self.operations, self.sums = nn.ModuleDict(), nn.ModuleDict()
        self.halves = nn.ModuleDict()
        channels = width
        for number, layer in enumerate(architecture.layers, start=1):
            for name in OPERATIONS if shared else [layer.operation]:
                built = _operation(name, channels, running=running)
                self.operations[f"{number}_{name}"] = built
            if number > 1:
                self.sums[str(number)] = nn.BatchNorm2d(channels, track_running_stats=running)
            if number in halved_after(len(architecture)):
                every = range(number + 1)
                for source in every if shared else architecture.needed[number]:
                    self.halves[f"{number}_{source}"] = Halve(channels, running=running)
                channels *= 2
        self.last_stage = f"sums.{len(architecture)}"
        self.head = nn.Linear(channels, num_classes)
        if dropout:
            self.head = nn.Sequential(nn.Dropout(dropout), self.head)

    def features(self, x: Tensor) -> Tensor:
        """Return (B, 4 * width) from (B, 3, 32, 32)."""
        inputs: dict[int, Tensor] = {0: self.stem(x)}
        for number, layer in enumerate(self.architecture.layers, start=1):
            out = self.operations[f"{number}_{layer.operation}"](inputs[number - 1])
            if number > 1:
                for skip in layer.skips:
                    out = out + inputs[skip]
                out = self.sums[str(number)](out)
            inputs[number] = out
            if number in self.architecture.needed:
                inputs = {
                    j: self.halves[f"{number}_{j}"](inputs[j])
                    for j in self.architecture.needed[number]
                }
        return inputs[len(self.architecture)].mean(dim=(2, 3))


class SharedNetwork(EnasNetwork):
    """All networks of the space in one: `choose` says which of them the next pass computes.

    Two networks that have the same operation in the same layer use the same weights for it.
    """

    def __init__(self, *, layers: int, width: int, num_classes: int, dropout: float) -> None:
        """Build all operations of all layers."""
        super().__init__(
            plain(["c3"] * layers),
            width=width,
            num_classes=num_classes,
            dropout=dropout,
            shared=True,
        )

    def choose(self, architecture: Architecture) -> None:
        """Compute this one from now on.

        Raises:
            ValueError: It has another number of layers.
        """
        if len(architecture) != len(self.architecture):
            raise ValueError(
                f"{architecture} has {len(architecture)} layers, this network "
                f"{len(self.architecture)}; choose one of as many"
            )
        self.architecture = architecture

    def used(self) -> Iterator[nn.Parameter]:
        """Yield the weights that the chosen network uses."""
        chosen = {f"operations.{k}_{op}." for k, op in enumerate(self.architecture.operations, 1)}
        chosen |= {
            f"halves.{k}_{j}." for k, every in self.architecture.needed.items() for j in every
        }
        for name, weight in self.named_parameters():
            parts = name.split(".")
            inside = parts[0] not in ("operations", "halves")
            if inside or f"{parts[0]}.{parts[1]}." in chosen:
                yield weight


def enas(
    *, num_classes: int = 10, architecture: str = DEFAULT, width: int = 24, dropout: float = 0.0
) -> EnasNetwork:
    """Return a network of the macro space.

    Args:
        num_classes: K >= 2.
        architecture: As `enas.space.parse` reads it, such as `c3/s5+0/mp/c5+0+2/s3/ap`.
        width: Channels of the stem, >= 1; twice and four times as many after the halvings.
        dropout: Share of features dropped before the head in training, in [0, 1).

    Raises:
        ValueError: The architecture does not parse, or a value is outside its range.
    """
    if width < 1:
        raise ValueError(f"width must be >= 1, got {width}; 24 is the search's")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1), got {dropout}; try 0.1")
    return EnasNetwork(parse(architecture), width=width, num_classes=num_classes, dropout=dropout)
