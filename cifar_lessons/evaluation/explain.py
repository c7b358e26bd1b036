"""Where does a network look? Two maps of importance, and a check that unmasks pretty ones.

Grad-CAM asks which positions of the last maps push a class: Selvaraju et al. (2017),
arXiv:1610.02391, section 3. Occlusion covers one place after the other and watches what is lost:
Zeiler & Fergus (2014), arXiv:1311.2901, section 4.2. A map that stays the same when the network's
weights are thrown away says nothing about the network: Adebayo et al. (2018), arXiv:1810.03292,
section 3.1.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# (model, images (B, 3, H, W), classes (B,)) -> maps (B, H, W)
Explainer = Callable[[nn.Module, Tensor, Tensor], Tensor]


def grad_cam(
    model: nn.Module, images: Tensor, target: Tensor, *, layer: nn.Module | None = None
) -> Tensor:
    """Return `relu(sum over channels of mean(d score / d map) * map)`, enlarged to the image.

    Args:
        model: A classifier of ours; set to evaluation mode here, and left in it.
        images: Normalised, (B, 3, H, W).
        target: The class that each map is about, (B,) int64. It need not be the predicted one.
        layer: The module whose maps are weighed: its output must be (B, C, h, w). The default is
            `model.last_conv`; an earlier stage has finer maps that know less.

    Returns:
        (B, H, W) float32, at least 0, in units of the logit times an activation: shapes can be
        compared between images, heights can't.

    Raises:
        ValueError: `target` is not one class an image, or the layer gives no maps.
    """
    _check_target(images, target)
    model.eval()
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        # In a network whose weights are frozen nothing asks for a gradient, so we do.
        kept.append(output if output.requires_grad else output.requires_grad_())
        return output.clone()  # what comes next may work in place

    chosen = layer if layer is not None else cast(nn.Module, model.last_conv)
    handle = chosen.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            scores = model(images).gather(1, target[:, None]).sum()
    finally:
        handle.remove()
    maps = kept[0]
    if maps.ndim != 4:
        raise ValueError(
            f"the layer must give maps (B, C, h, w), got {tuple(maps.shape)}; try model.last_conv"
        )
    # Images don't mix in evaluation mode, so the gradient of the sum holds one of each image.
    (slopes,) = torch.autograd.grad(scores, maps)
    weights = slopes.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
    coarse = F.relu((weights * maps).sum(1, keepdim=True)).detach().float()  # (B, 1, h, w)
    return F.interpolate(coarse, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]


@torch.no_grad()
def occlusion(
    model: nn.Module, images: Tensor, target: Tensor, *, side: int = 8, stride: int = 4
) -> Tensor:
    """Return how much the score falls when a square is covered with the mean colour.

    Args:
        model: Set to evaluation mode here, and left in it.
        images: Normalised, (B, 3, H, W): the mean colour is 0.
        target: The class whose score is watched, (B,) int64.
        side: Of the square, in pixels, in [1, H].
        stride: Pixels from one square to the next, in [1, side], so that no pixel is left out.

    Returns:
        (B, H, W) float32, in units of the logit: each pixel has the mean fall over all squares
        that cover it. Below 0 where covering *helps* the class.

    Raises:
        ValueError: A number outside its range, or `target` is not one class an image.
    """
    _check_target(images, target)
    height, width = images.shape[2:]
    if not 1 <= side <= min(height, width):
        raise ValueError(f"side must lie in [1, {min(height, width)}], got {side}; try 8")
    if not 1 <= stride <= side:
        raise ValueError(f"stride must lie in [1, {side}], got {stride}; half the side is usual")
    model.eval()
    before = model(images).gather(1, target[:, None])[:, 0].float()  # (B,)
    falls = torch.zeros(len(images), height, width, device=images.device)
    covered = torch.zeros(height, width, device=images.device)
    for top in _starts(height, side, stride):
        for left in _starts(width, side, stride):
            square = (..., slice(top, top + side), slice(left, left + side))
            hidden = images.clone()
            hidden[square] = 0.0
            after = model(hidden).gather(1, target[:, None])[:, 0].float()
            falls[square] += (before - after)[:, None, None]
            covered[square] += 1
    return falls / covered


def _starts(size: int, side: int, stride: int) -> list[int]:
    """Return where squares begin, the last one at the very end."""
    return sorted({*range(0, size - side, stride), size - side})


def _check_target(images: Tensor, target: Tensor) -> None:
    if target.shape != images.shape[:1]:
        raise ValueError(
            f"target must be one class an image, {tuple(images.shape[:1])}, got "
            f"{tuple(target.shape)}; model(images).argmax(1) asks about the predicted ones"
        )


# --- Does the map depend on the network at all? ---------------------------------------------


def cascade(model: nn.Module, *, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Yield a network that forgets what it learned, part by part from the logits to the image.

    Args:
        model: A trained network; it is left as it is.
        seed: Of the new random weights.

    Yields:
        The name of the part that has just been drawn anew, and the network: the same copy each
        time, in which all parts up to this one are random. Parts are the model's own children,
        such as `head`, `layer4`, `layer3`.
    """
    forgetting = copy.deepcopy(model).eval()
    parts = [(n, part) for n, part in forgetting.named_children() if list(part.parameters())]
    for number, (name, part) in enumerate(reversed(parts)):
        # On the CPU: the same draws on all devices, and no other generator is moved.
        fresh = copy.deepcopy(part).cpu()
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed(seed + 1000 * number)
            for module in fresh.modules():
                reset = getattr(module, "reset_parameters", None)
                if callable(reset):
                    reset()
        part.load_state_dict(fresh.state_dict())
        yield name, forgetting


def rank_correlation(first: Tensor, second: Tensor) -> npt.NDArray[np.float64]:
    """Return Spearman's correlation of two maps of each image, shape (B,), in [-1, 1].

    Ranks, since maps have no common unit; equal values share their mean rank. A map that is the
    same everywhere ranks nothing, and counts as 0.

    Args:
        first: (B, H, W).
        second: The same shape.
    """
    from scipy.stats import rankdata

    a, b = (
        rankdata(maps.detach().flatten(1).cpu().double().numpy(), axis=1)
        for maps in (first, second)
    )
    a, b = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (a, b))
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.where(size > 0, size, 1.0))


def randomisation_check(
    model: nn.Module,
    images: Tensor,
    target: Tensor,
    explain: Explainer,
    *,
    seed: int = 0,
) -> dict[str, npt.NDArray[np.float64]]:
    """Return how much of a map is left when the network forgets, part by part.

    Args:
        model: A trained network; it is left as it is.
        images: Normalised, (B, 3, H, W).
        target: Classes, (B,): the same throughout, whatever the random network predicts.
        explain: What makes the maps, such as `grad_cam`.
        seed: Of the new random weights.

    Returns:
        For each part, from the logits to the image, the rank correlation of each image's map with
        the one of the trained network, shape (B,). A method that explains *this* network should
        fall towards 0; one that stays near 1 draws the image.
    """
    before = explain(model, images, target)
    return {
        name: rank_correlation(before, explain(forgetting, images, target))
        for name, forgetting in cascade(model, seed=seed)
    }
