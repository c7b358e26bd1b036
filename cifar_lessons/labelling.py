"""Where the names of points stand in a figure, so that no name covers a point or another name.

Geometry alone, in pixels or any other unit: whoever draws brings the sizes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Box = tuple[float, float, float, float]  # left, bottom, right, top
Spot = tuple[float, float]

REACH = (0.0, 4.0, 10.0, 18.0, 28.0, 40.0, 54.0)  # from point to name, in units of `unit`
DIRECTIONS = 24


def place(
    points: Sequence[Spot],
    sizes: Sequence[tuple[float, float]],
    within: Box,
    *,
    obstacles: Sequence[Box] = (),
    gap: float = 5.0,
    unit: float = 1.0,
) -> list[Spot | None]:
    """Return the centre of each name, the first ones served first; None where there is no room.

    Names go as near to their points as they can, and the lines that lead from one to the other
    cross neither names nor other points where that can be had.

    Args:
        points: Centres of the points.
        sizes: Width and height of each name.
        within: What no name may leave.
        obstacles: What no name may cover, beside the points and other names.
        gap: Between the centre of a point and the edge of its name, at least.
        unit: Length of a step away from the point.

    Raises:
        ValueError: Another number of sizes than points.
    """
    if len(points) != len(sizes):
        raise ValueError(f"{len(sizes)} sizes for {len(points)} points; give one for each")
    kept_free = [(x - gap, y - gap, x + gap, y + gap) for x, y in points]
    taken: list[Box] = [*kept_free, *obstacles]
    lines: list[tuple[Spot, Spot]] = []
    found: list[Spot | None] = []
    for index, (point, size) in enumerate(zip(points, sizes, strict=True)):
        others = [*taken[:index], *taken[index + 1 :]]  # but the point's own box
        best: tuple[float, Spot] | None = None
        for away, centre in _spots(point, size, gap, unit):
            if best and best[0] <= away:
                continue
            box = _around(centre, size)
            if not _inside(box, within) or any(_overlap(box, other) for other in taken):
                continue
            crossed = sum(_crossed(line, [box]) for line in lines)
            crossed += _crossed((point, centre), others)
            cost = away + 30 * unit * crossed
            if best is None or cost < best[0]:
                best = cost, centre
        found.append(best[1] if best else None)
        if best:
            taken.append(_around(best[1], size))
            lines.append((point, best[1]))
    return found


def _spots(
    point: Spot, size: tuple[float, float], gap: float, unit: float
) -> list[tuple[float, Spot]]:
    """Return centres around a point, with how far each is out: to the right first, then around."""
    spots = []
    for step in REACH:
        for k in range(DIRECTIONS):
            angle = 2 * np.pi * (k // 2 + k % 2) * (-1) ** k / DIRECTIONS
            across, up = float(np.cos(angle)), float(np.sin(angle))
            # The name's edge, and not its centre, is at that distance.
            reach_x, reach_y = gap + step * unit + size[0] / 2, gap + step * unit + size[1] / 2
            scale = min(
                reach_x / abs(across) if abs(across) > 1e-9 else np.inf,
                reach_y / abs(up) if abs(up) > 1e-9 else np.inf,
            )
            turned = 0.1 * unit * k  # where all else is equal
            spots.append((step * unit + turned, (point[0] + scale * across, point[1] + scale * up)))
    return spots


def _around(centre: Spot, size: tuple[float, float]) -> Box:
    (x, y), (width, height) = centre, size
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _inside(box: Box, other: Box) -> bool:
    return box[0] >= other[0] and box[1] >= other[1] and box[2] <= other[2] and box[3] <= other[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _crossed(line: tuple[Spot, Spot], boxes: Sequence[Box]) -> int:
    """Return how many boxes a line runs through, seen at 25 places along it."""
    if not boxes:
        return 0
    ends: npt.NDArray[np.float64] = np.array(line)
    along = np.linspace(0, 1, 25)[:, None]
    x, y = (ends[0] + along * (ends[1] - ends[0])).T[:, :, None]
    left, bottom, right, top = np.array(boxes).T
    inside = (x > left) & (x < right) & (y > bottom) & (y < top)  # (25, boxes)
    return int(inside.any(axis=0).sum())
