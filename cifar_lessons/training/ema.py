"""Averaged weights: an exponential moving average of a model, buffers included.

Source: Polyak & Juditsky (1992); as used for networks, Tarvainen & Valpola (2017),
arXiv:1703.01780, section 2. PyTorch's `AveragedModel` does the arithmetic.
"""

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def build_ema(model: nn.Module, decay: float | None) -> AveragedModel | None:
    """Return a copy of `model` that follows it, or None when `decay` is None.

    Args:
        model: The network in training.
        decay: In (0, 1): the copy keeps this share of itself at each `update_parameters`.
            1 / (1 - decay) steps is its memory: 0.999 looks back over 1,000 steps.
    """
    if decay is None:
        return None
    # use_buffers: the running statistics of batch normalisation must match the averaged weights.
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
