"""Mirrors cifar_lessons/data/distortions.py: each against something slow or obvious."""

import numpy as np
import pytest

from cifar_lessons.data import distortions as d


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((3, 3, 32, 32)).astype(np.float32)


def dots(*places: tuple[int, int]) -> np.ndarray:
    """One image a place, black but for a white dot there."""
    found = np.zeros((len(places), 3, 32, 32), np.float32)
    for image, (row, column) in zip(found, places, strict=True):
        image[:, row, column] = 1
    return found


def test_a_disk_is_round_adds_up_to_one_and_grows():
    for radius, soft in ((0.3, 0.4), (1, 0.2), (1.5, 0.1)):
        kernel = d.disk(radius, soft)
        assert kernel.sum() == pytest.approx(1)
        np.testing.assert_allclose(kernel, kernel.T)
        np.testing.assert_allclose(kernel, kernel[::-1], atol=1e-7)
    assert (d.disk(1.5, 0.1) > 0.05).sum() == 9  # a point, its four sides and its four corners
    assert (d.disk(1, 0.1) > 0.05).sum() == 5
    point = d.disk(0.3, 0.4)
    bell = np.exp(-np.array([1, 0, 1]) / (2 * 0.4**2))
    np.testing.assert_allclose(point[2, 1:4], bell / bell.sum() * (1 / bell.sum()), rtol=1e-5)


def test_filtering_pixel_by_pixel(images):
    kernel = np.arange(25, dtype=np.float32).reshape(5, 5)
    found = d.filtered(images, kernel)
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    for row, column in ((0, 0), (5, 9), (31, 30)):
        patch = padded[1, 2, row : row + 5, column : column + 5]
        assert found[1, 2, row, column] == pytest.approx(
            (patch * kernel[::-1, ::-1]).sum(), rel=1e-4
        )


def test_a_dot_is_smeared_along_its_line():
    angle = np.array([0, np.pi / 4], np.float32)
    level, slanted = d.smeared(dots((16, 8), (10, 8)), angle, reach=4, spread=2.0)[:, 0]
    weights = np.exp(-(np.arange(9) ** 2) / 8)
    weights /= weights.sum()
    np.testing.assert_allclose(level[16, 8:17], weights, atol=1e-3)
    assert level.sum() == pytest.approx(1, abs=1e-3)
    diagonal = [slanted[10 + k, 8 + k] for k in range(6)]  # down and to the right
    assert min(diagonal) > 0
    assert sum(diagonal) == pytest.approx(1, abs=0.02)


def test_each_image_is_smeared_at_its_own_angle(images):
    angle = np.array([-0.7, 0.1, 0.6], np.float32)
    together = d.smeared(images, angle, reach=6, spread=1.5)
    alone = d.smeared(images[1:2], angle[1:2], reach=6, spread=1.5)
    np.testing.assert_allclose(together[1:2], alone)


def test_zooming_by_one_changes_nothing_and_by_more_moves_outwards(images):
    np.testing.assert_allclose(d.zoomed(images, np.array([1.0])), images, atol=1e-6)
    blurred = d.zoomed(dots((16, 24)), np.array([1.25]))[0, 0]
    assert blurred[16, 24] > 0.4  # half of it stays: the image itself
    # 24 lies 8.5 from the centre, so it goes to 15.5 + 1.25 * 8.5, about 26.
    assert blurred[:, 25:28].sum() > 0.4
    assert blurred[:, :24].sum() == 0


def test_stretching_by_nothing_changes_nothing(images):
    still = np.zeros((3, 3, 2), np.float32), np.zeros((3, 2, 32, 32), np.float32)
    np.testing.assert_allclose(d.stretched(images, *still, push=1, smooth=2), images, atol=1e-6)


def test_corners_that_move_together_move_the_image(images):
    corners = np.tile(np.float32([2, -3]), (3, 3, 1))  # each pixel is taken from there
    fields = np.zeros((3, 2, 32, 32), np.float32)
    found = d.stretched(images, corners, fields, push=0, smooth=0)
    np.testing.assert_allclose(found[:, :, :30, 3:], images[:, :, 2:, :-3], atol=1e-5)
    # Past the border it goes on mirrored: row 32 is row 30.
    np.testing.assert_allclose(found[:, :, 30, 3:], images[:, :, 30, :-3], atol=1e-5)


def test_a_constant_field_pushes_all_pixels_alike(images):
    fields = np.zeros((3, 2, 32, 32), np.float32)
    fields[:, 0] = 0.5  # half a pixel at push 1: the mean of two rows
    found = d.stretched(images, np.zeros((3, 3, 2), np.float32), fields, push=1, smooth=3)
    expected = (images[:, :, :-1] + images[:, :, 1:]) / 2
    np.testing.assert_allclose(found[:, :, :-1], expected, atol=1e-5)


def test_plasma_fills_everything_from_0_to_1_and_is_rougher_with_less_decay():
    noise = np.random.default_rng(0).uniform(-1, 1, (8, 2, 32, 32)).astype(np.float32)
    smooth, rough = d.plasma(noise, decay=3), d.plasma(noise, decay=1.2)
    for cloud in (smooth, rough):
        assert cloud.shape == (8, 32, 32)
        np.testing.assert_allclose(cloud.min((1, 2)), 0)
        np.testing.assert_allclose(cloud.max((1, 2)), 1)
    step = [np.abs(np.diff(cloud, axis=1)).mean() for cloud in (smooth, rough)]
    assert step[1] > 2 * step[0]


def test_plasma_goes_on_over_the_edge():
    noise = np.random.default_rng(1).uniform(-1, 1, (50, 2, 32, 32)).astype(np.float32)
    cloud = d.plasma(noise, decay=3)
    inside = np.abs(np.diff(cloud, axis=2)).mean()
    over = np.abs(cloud[:, :, 0] - cloud[:, :, -1]).mean()
    assert over < 2 * inside


def test_a_side_that_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="power of two, got 20"):
        d.plasma(np.zeros((1, 2, 20, 20), np.float32), decay=3)
