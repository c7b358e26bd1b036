"""The arithmetic behind blurred, bent and fogged images, for whole batches.

`corruptions` says how strong each is; here is what it does. Images are (N, 3, H, W) float32. At the
border an image goes on as its mirror image, except in `smeared`, where its last row or column
repeats, as in the sources.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]


def disk(radius: float, soft: float) -> Floats:
    """Return a 5x5 kernel: the points within `radius`, with an edge softened by a Gaussian.

    Args:
        radius: In pixels, in [0, 1.5]; below 1 it is a single point before it is softened.
        soft: Standard deviation in pixels of the Gaussian, cut to 3x3.
    """
    from scipy.ndimage import convolve

    at = np.arange(-2, 3)
    inside = (at[:, None] ** 2 + at**2 <= radius**2).astype(np.float64)
    bell = np.exp(-(np.arange(-1, 2) ** 2) / (2 * soft**2))
    bell /= bell.sum()
    kernel = convolve(inside / inside.sum(), np.outer(bell, bell), mode="constant")
    return np.asarray(kernel, np.float32)


def filtered(x: Floats, kernel: Floats) -> Floats:
    """Return each channel of each image convolved with a kernel."""
    from scipy.ndimage import convolve

    return np.asarray(convolve(x, kernel[None, None], mode="mirror"), np.float32)


def smeared(x: Floats, angle: Floats, *, reach: int, spread: float) -> Floats:
    """Return images moved along a line, with weights that fall like a Gaussian.

    Args:
        x: Images.
        angle: Of the line of each image, (N,), in radians.
        reach: The line has `2 * reach + 1` points, one pixel apart.
        spread: Standard deviation of the weights, in pixels, > 0.
    """
    steps = np.arange(2 * reach + 1)
    weights = np.exp(-(steps**2) / (2 * spread**2))
    weights /= weights.sum()
    smear = np.zeros_like(x)
    for step, weight in zip(steps, weights, strict=True):
        if weight < 1e-4:  # less than a level of brightness, at the far end of the line
            continue
        down = np.rint(step * np.sin(angle)).astype(np.int64)
        right = np.rint(step * np.cos(angle)).astype(np.int64)
        smear += np.float32(weight) * _moved(x, down, right)
    return smear


def _moved(x: Floats, down: Whole, right: Whole) -> Floats:
    """Return image n moved by (down[n], right[n]) pixels, the border repeated."""
    height, width = x.shape[2:]
    rows = (np.arange(height) - down[:, None]).clip(0, height - 1)  # (N, H)
    columns = (np.arange(width) - right[:, None]).clip(0, width - 1)
    return _picked(x, rows[:, :, None], columns[:, None, :])


def _picked(x: Floats, rows: Whole, columns: Whole) -> Floats:
    """Return the pixels at those rows and columns of each image: (N, H, W) each, or broadcast."""
    image = np.arange(len(x))[:, None, None]
    return x[image, :, rows, columns].transpose(0, 3, 1, 2)


def zoomed(x: Floats, factors: npt.NDArray[np.float64]) -> Floats:
    """Return the mean of each image and of its enlargements, about the centre, bilinear.

    Args:
        x: Square images.
        factors: Of the enlargements, each >= 1.
    """
    side = x.shape[-1]
    centre = (side - 1) / 2
    total = x.copy()
    for factor in factors:
        # Bilinear enlarging is a matrix from the left and the same from the right.
        at = (np.arange(side) - centre) / factor + centre
        low = np.minimum(at.astype(np.int64), side - 2)
        matrix = np.zeros((side, side), np.float32)
        matrix[np.arange(side), low] = 1 - (at - low)
        matrix[np.arange(side), low + 1] = at - low
        total += matrix @ x @ matrix.T
    return np.asarray(total / (len(factors) + 1), np.float32)


def stretched(x: Floats, corners: Floats, fields: Floats, *, push: float, smooth: float) -> Floats:
    """Return images seen through an uneven pane: an affine map, then a smooth displacement.

    Args:
        x: Square images.
        corners: How far three points around the centre move, (N, 3, 2) in pixels, (down, right).
        fields: Noise in [-1, 1], (N, 2, H, W), for the displacement down and to the right.
        push: Factor on the smoothed noise, in pixels.
        smooth: Standard deviation in pixels of the Gaussian that smooths it.
    """
    from scipy.ndimage import gaussian_filter

    side = x.shape[-1]
    centre, arm = side // 2, side // 3
    points = np.array([[arm, arm], [arm, -arm], [-arm, -arm]]) + centre
    known = np.column_stack([points, np.ones(3)])  # (3, 3)
    affine = np.linalg.solve(known, points + corners.astype(np.float64))  # (N, 3, 2)
    grid = np.stack(np.meshgrid(*2 * [np.arange(side)], indexing="ij"), -1)  # (H, W, 2)
    flat = np.concatenate([grid, np.ones_like(grid[..., :1])], -1).reshape(-1, 3)
    at = (flat @ affine).reshape(-1, side, side, 2).transpose(0, 3, 1, 2)  # (N, 2, H, W)
    if push:
        sigma = (0, 0, smooth, smooth)
        at = at + push * gaussian_filter(fields, sigma, mode="reflect", truncate=3.0)
    return _sampled(x, at[:, 0], at[:, 1])


def _sampled(x: Floats, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> Floats:
    """Return bilinear samples at fractional rows and columns, (N, H, W) each."""
    height, width = x.shape[2:]
    top, left = np.floor(rows).astype(np.int64), np.floor(columns).astype(np.int64)
    down, right = ((rows - top)[:, None], (columns - left)[:, None])  # (N, 1, H, W)
    total = np.zeros(x.shape, np.float64)
    for row, share_down in ((top, 1 - down), (top + 1, down)):
        for column, share_right in ((left, 1 - right), (left + 1, right)):
            pixels = _picked(x, _mirrored(row, height), _mirrored(column, width))
            total += share_down * share_right * pixels
    return total.astype(np.float32)


def _mirrored(at: Whole, size: int) -> Whole:
    """Return positions inside [0, size) for any whole number: the image is mirrored at its ends."""
    folded = np.abs(at) % (2 * size - 2)
    return np.asarray(np.minimum(folded, 2 * size - 2 - folded))


def plasma(noise: Floats, *, decay: float) -> Floats:
    """Return clouds in [0, 1], by midpoint displacement on a torus (diamond-square).

    Source: Fournier, Fussell & Carpenter (1982), Comm. ACM 25, 371-384. Each round fills the
    points in the middle between known ones with their mean and some noise; the distance halves,
    and the noise shrinks by the square of `decay`, as in the authors' script.

    Args:
        noise: In [-1, 1], (N, 2, S, S), S a power of two: for centres and for edges.
        decay: >= 1. Higher is smoother.
    """
    side = noise.shape[-1]
    if side & (side - 1):
        raise ValueError(f"the side must be a power of two, got {side}; CIFAR has 32")
    cloud = np.zeros((len(noise), side, side), np.float64)
    step, size = side, 1.0
    while step >= 2:
        half = step // 2
        corners = cloud[:, ::step, ::step]
        below = corners + np.roll(corners, -1, 1)
        middle = (below + np.roll(below, -1, 2)) / 4
        cloud[:, half::step, half::step] = middle + size * noise[:, 0, half::step, half::step]
        centres = cloud[:, half::step, half::step]
        # An edge lies between two corners and two centres.
        level = corners + np.roll(corners, -1, 2) + centres + np.roll(centres, 1, 1)
        cloud[:, ::step, half::step] = level / 4 + size * noise[:, 1, ::step, half::step]
        upright = corners + np.roll(corners, -1, 1) + centres + np.roll(centres, 1, 2)
        cloud[:, half::step, ::step] = upright / 4 + size * noise[:, 1, half::step, ::step]
        step, size = half, size / decay**2
    cloud -= cloud.min((1, 2), keepdims=True)
    cloud /= np.maximum(cloud.max((1, 2), keepdims=True), 1e-12)
    return np.asarray(cloud, np.float32)
