"""Mirrors cifar_lessons/labelling.py."""

import numpy as np
import pytest

from cifar_lessons.labelling import place

PAGE = (0.0, 0.0, 600.0, 400.0)


def box(centre, size):
    (x, y), (width, height) = centre, size
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


def overlap(a, b) -> bool:
    return bool(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def test_a_lone_point_has_its_name_at_its_right():
    [(x, y)] = place([(100, 100)], [(60, 10)], PAGE, gap=5)
    assert (x, y) == pytest.approx((100 + 5 + 30, 100))


def test_at_the_right_edge_the_name_stands_elsewhere():
    [(x, y)] = place([(590, 100)], [(60, 10)], PAGE)
    assert box((x, y), (60, 10))[2] <= 600
    assert not overlap(box((x, y), (60, 10)), box((590, 100), (2, 2)))


def test_no_name_covers_a_point_a_name_or_an_obstacle():
    rng = np.random.default_rng(0)
    points = [tuple(p) for p in rng.uniform((150, 100), (450, 300), (40, 2))]
    sizes = [(float(w), 10.0) for w in rng.uniform(30, 80, 40)]
    bar = (300.0, 0.0, 310.0, 400.0)
    centres = place(points, sizes, PAGE, obstacles=[bar], gap=5)
    placed = [box(c, s) for c, s in zip(centres, sizes, strict=True) if c]
    assert len(placed) > 30
    for index, one in enumerate(placed):
        assert not overlap(one, bar)
        assert not any(overlap(one, box(p, (2, 2))) for p in points)
        assert not any(overlap(one, other) for other in placed[:index])
        assert one[0] >= 0
        assert one[1] >= 0
        assert one[2] <= 600
        assert one[3] <= 400


def test_the_way_to_a_name_leads_past_other_points():
    wall = [(130.0, float(y)) for y in range(60, 150, 10)]  # at the right of the first point
    [(x, _), *_] = place([(100, 100), *wall], [(40, 10)] * 10, PAGE, gap=5)
    assert x < 130


def test_the_first_is_served_first_and_none_is_said_where_there_is_no_room():
    narrow = (0.0, 0.0, 70.0, 12.0)  # room for one name beside the points
    first, second = place([(5, 6), (8, 6)], [(50, 10), (50, 10)], narrow, gap=5)
    assert first is not None
    assert second is None


def test_sizes_must_match():
    with pytest.raises(ValueError, match="1 sizes for 2 points"):
        place([(1, 1), (2, 2)], [(1, 1)], PAGE)
