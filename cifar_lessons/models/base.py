"""What every network here offers: features, and a head that turns them into logits.

Linear probes, distillation and Grad-CAM need the two halves apart; with the split in the
contract they need no surgery on a model.
"""

from torch import Tensor, nn


class Classifier(nn.Module):
    """An image classifier: `forward(x) = head(features(x))`.

    A subclass builds its layers, then `head`, and defines `features`.

    Attributes:
        feature_dim: D, the number of features of an image.
        num_classes: K, the number of logits of an image.
        head: Maps (B, D) to (B, K); a linear layer, with dropout before it in some networks.
        any_side: Whether smaller images fit, as progressive resizing shows them; a network whose
            linear layer follows the positions of the image takes 32 pixels alone.
        last_stage: Name of the submodule that gives the last maps; see `last_conv`.
    """

    head: nn.Module
    any_side: bool = True
    last_stage: str

    def __init__(self, *, feature_dim: int, num_classes: int) -> None:
        """Remember the two sizes; the subclass builds the layers.

        Raises:
            ValueError: Fewer than two classes.
        """
        super().__init__()
        if num_classes < 2:
            raise ValueError(f"num_classes must be >= 2, got {num_classes}; CIFAR-10 has 10")
        self.feature_dim = feature_dim
        self.num_classes = num_classes

    def prepare(self, images: Tensor) -> None:
        """Set what depends on the training images; most networks have nothing of the kind.

        Called once, before training. What it sets is part of the weights from then on.

        Args:
            images: Some thousand normalised training images, (N, 3, 32, 32), not augmented.
        """

    @property
    def last_conv(self) -> nn.Module:
        """Return the last module that still knows where things are; its output is (B, C, h, w).

        After it the positions are averaged, or mixed by a linear layer. Grad-CAM looks at its
        output through a forward hook.
        """
        return self.get_submodule(self.last_stage)

    def features(self, x: Tensor) -> Tensor:
        """Return what the network sees in normalised images: (B, 3, 32, 32) to (B, D)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, (B, K), of normalised images, (B, 3, 32, 32)."""
        logits: Tensor = self.head(self.features(x))
        return logits
