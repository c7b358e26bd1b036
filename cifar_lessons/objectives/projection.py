"""A network with a projection head: what is compared is not what is kept.

The features that come out of the encoder are what pre-training is for. The loss sees them through a
small network, which may throw away what the loss wants gone (the colour of a view, say) without the
features losing it. Afterwards the head is thrown away.

Source: Chen et al. (2020), arXiv:2002.05709, section 4.2.
"""

from typing import Any

from torch import Tensor, nn

from cifar_lessons.config import SimClr, VicReg


def build_head(inputs: int, config: SimClr | VicReg) -> nn.Sequential:
    """Return the projection head of an objective: (B, inputs) to (B, config.out).

    SimCLR's has one hidden layer, VICReg's has two (Bardes et al. 2022, arXiv:2105.04906, section
    4.2), all with batch norm.
    """
    layers: list[nn.Module] = []
    for _ in range(1 if isinstance(config, SimClr) else 2):
        layers += [
            nn.Linear(inputs, config.hidden, bias=False),  # batch norm has a shift of its own
            nn.BatchNorm1d(config.hidden),
            nn.ReLU(inplace=True),
        ]
        inputs = config.hidden
    return nn.Sequential(*layers, nn.Linear(inputs, config.out, bias=False))


class Projected(nn.Module):
    """An encoder and its projection head, trained as one.

    Attributes:
        encoder: A classifier, of which `features` is trained. Its own head rests.
        projector: From `build_head`.
    """

    def __init__(self, encoder: Any, config: SimClr | VicReg) -> None:
        """Put a new head on an encoder, whose classifying head is taken out of training.

        Args:
            encoder: With `features`, `feature_dim` and `head`; see `models.base.Classifier`.
            config: Says which head.
        """
        super().__init__()
        self.encoder = encoder
        self.encoder.head.requires_grad_(False)
        self.projector = build_head(encoder.feature_dim, config)

    def forward(self, images: Tensor) -> Tensor:
        """Return what is compared: (B, 3, H, W) to (B, out)."""
        found: Tensor = self.projector(self.encoder.features(images))
        return found
