"""The article's small CNN, and the same idea with four convolutions.

`SimpleCNN` is the article's code to the layer, in its order, with PyTorch's default
initialisation: from the same seed it starts from the same weights. 99.1 % of its parameters are
in the two linear layers, which is why the pools of `deep_cnn` decide its size:

    widths            pools  parameters  ratio to SimpleCNN (2,122,186)
    32-32-64-64       2      2,168,362   1.02
    64-64-128-128     2      4,460,106   2.10
    32-64-128-256     2      8,782,666   4.14
    32-64-128-256     3      2,491,210   1.17  (2,491,690 with batch norm)
    32-64-128-256     4        918,346   0.43
"""

from collections.abc import Sequence

from torch import Tensor, nn

from cifar_lessons.models.base import Classifier


class SimpleCNN(Classifier):
    """Two convolutions with pools, two linear layers: the article's network as printed.

    Its state dict is the article's with other names: `convs` for `features`, `hidden.0` for
    `classifier.0`, `head.1` for `classifier.3`. Features are the 512 numbers before the dropout.
    """

    any_side = False
    last_stage = "convs"

    def __init__(self, *, num_classes: int = 10) -> None:
        """Build it: 2,122,186 parameters at 10 classes."""
        super().__init__(feature_dim=512, num_classes=num_classes)
        self.convs = nn.Sequential(
            nn.Conv2d(3, 32, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.hidden = nn.Sequential(nn.Linear(64 * 8 * 8, 512), nn.ReLU(inplace=True))
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(512, num_classes))

    def features(self, x: Tensor) -> Tensor:
        """Return (B, 512) from (B, 3, 32, 32)."""
        x = self.convs(x)  # (B, 64, 8, 8)
        x = self.hidden(x.flatten(1))  # (B, 512)
        return x


# After which of the four convolutions a pool stands. The count decides the parameters; the
# places follow the usual designs: pairs (VGG), early pools for speed, and one after each.
POOL_AFTER = {2: (2, 4), 3: (1, 2, 4), 4: (1, 2, 3, 4)}


class DeepCNN(Classifier):
    """Four 3x3 convolutions with `pools` max-pools, then the two linear layers of SimpleCNN."""

    any_side = False
    last_stage = "convs"

    def __init__(
        self,
        *,
        num_classes: int,
        widths: Sequence[int],
        pools: int,
        batch_norm: bool,
        hidden: int,
        dropout: float,
    ) -> None:
        """Build it; the arguments are those of `deep_cnn`."""
        super().__init__(feature_dim=hidden, num_classes=num_classes)
        layers: list[nn.Module] = []
        channels = 3
        for number, width in enumerate(widths, start=1):
            # Batch norm subtracts the mean, so a bias before it would do nothing.
            layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU(inplace=True))
            if number in POOL_AFTER[pools]:
                layers.append(nn.MaxPool2d(2))
            channels = width
        self.convs = nn.Sequential(*layers)
        side = 32 // 2**pools
        self.hidden = nn.Sequential(
            nn.Linear(channels * side * side, hidden), nn.ReLU(inplace=True)
        )
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, num_classes))

    def features(self, x: Tensor) -> Tensor:
        """Return (B, hidden) from (B, 3, 32, 32)."""
        x = self.convs(x)  # (B, widths[3], 32 / 2**pools, the same)
        x = self.hidden(x.flatten(1))  # (B, hidden)
        return x


def simple_cnn(*, num_classes: int = 10) -> SimpleCNN:
    """Return the article's SimpleCNN: 2,122,186 parameters at 10 classes."""
    return SimpleCNN(num_classes=num_classes)


def deep_cnn(
    *,
    num_classes: int = 10,
    widths: Sequence[int] = (32, 64, 128, 256),
    pools: int = 3,
    batch_norm: bool = False,
    hidden: int = 512,
    dropout: float = 0.5,
) -> DeepCNN:
    """Return a CNN with four 3x3 convolutions; the module's docstring lists its sizes.

    Args:
        num_classes: K >= 2.
        widths: Channels of the four convolutions, each >= 1.
        pools: Halvings of the image: 2, 3 or 4, after the convolutions in `POOL_AFTER`.
        batch_norm: Normalise after each convolution, which then has no bias.
        hidden: Units between the two linear layers, >= 1.
        dropout: Share of hidden units dropped in training, in [0, 1).

    Raises:
        ValueError: A value outside its range.
    """
    if len(widths) != 4 or min(widths) < 1:
        raise ValueError(
            f"widths must be four numbers >= 1, got {list(widths)}; try [32, 64, 128, 256]"
        )
    if pools not in POOL_AFTER:
        raise ValueError(f"pools must be 2, 3 or 4, got {pools}; 3 is the default")
    if hidden < 1:
        raise ValueError(f"hidden must be >= 1, got {hidden}; try 512")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must lie in [0, 1), got {dropout}; try 0.5")
    return DeepCNN(
        num_classes=num_classes,
        widths=widths,
        pools=pools,
        batch_norm=batch_norm,
        hidden=hidden,
        dropout=dropout,
    )
