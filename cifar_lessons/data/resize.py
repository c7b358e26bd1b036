"""Progressive resizing: a run begins with small images, which cost less, and ends with full ones.

The cost of a convolution goes with the square of the side: a step on 20 pixels takes 0.39 times
as long as one on 32. Sources: Howard (2018, fast.ai's DAWNBench entry); Touvron et al. (2019),
arXiv:1906.06423, on what a change of resolution does to a trained network.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

FULL_SIDE = 32  # pixels


def side_at(sizes: Sequence[tuple[float, int]], share: float) -> int:
    """Return the side in pixels of the images at a share of the run.

    Args:
        sizes: (share of all steps, side) of each stage in turn; see `DataConfig.sizes`.
        share: Of all steps that are done, in [0, 1).
    """
    ends = 0.0
    for length, side in sizes:
        ends += length
        if share < ends - 1e-9:  # 0.35 + 0.3 is a little more than 0.65
            return side
    return FULL_SIDE


def shrink(images: Tensor, side: int) -> Tensor:
    """Return images at another size: (B, 3, H, W) float -> (B, 3, side, side), channels_last.

    Bilinear, with the average over all pixels that a new one covers; without it, fine patterns
    would turn into coarse false ones.
    """
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)
