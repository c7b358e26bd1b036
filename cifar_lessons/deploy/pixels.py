"""What a deployed classifier takes and gives: 8-bit pixels in, logits and probabilities out.

Scaling and normalisation are part of the network here, so nobody can forget them or get them wrong.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cifar_lessons.config import DataConfig
from cifar_lessons.errors import UserError

SIDE = 32  # pixels
Pixels = npt.NDArray[np.uint8]  # (B, 32, 32, 3), rows, columns, then red, green and blue
Logits = npt.NDArray[np.float32]  # (B, K)


class PixelClassifier(nn.Module):
    """A trained network behind the normalisation that it was trained with."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, data: DataConfig) -> None:
        """Wrap a network.

        Args:
            network: Maps normalised (B, 3, 32, 32) to logits (B, K).
            data: The mean and std of its training.
        """
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(data.mean) * 255)
        self.register_buffer("scale", 1 / (torch.tensor(data.std) * 255))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, 32, 32, 3) uint8 to logits and probabilities, (B, K) float32 each."""
        normalised = (pixels.float() - self.mean) * self.scale
        # To (B, 3, 32, 32): in memory it stays as it is, which is what channels_last means.
        logits = self.network(normalised.permute(0, 3, 1, 2)).float()
        return logits, logits.softmax(dim=1)


def as_pixels(images: Tensor) -> Pixels:
    """Return (N, 3, H, W) uint8 as a deployed network wants it, (N, H, W, 3)."""
    return np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())


def require_pixels(pixels: npt.NDArray[np.generic]) -> Pixels:
    """Return a batch of pixels if it is one.

    Raises:
        UserError: Another shape or type; the message names it.
    """
    if pixels.ndim != 4 or pixels.shape[1:] != (SIDE, SIDE, 3) or not len(pixels):
        raise UserError(
            f"pixels must be (B, {SIDE}, {SIDE}, 3) with B >= 1, got {pixels.shape}; "
            "data.picture.read_picture cuts and shrinks any picture"
        )
    if pixels.dtype != np.uint8:
        raise UserError(
            f"pixels must be uint8 in [0, 255], got {pixels.dtype}; the model scales and "
            "normalises by itself"
        )
    return pixels  # type: ignore[return-value]
