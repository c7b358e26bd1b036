"""Mirrors cifar_lessons/data/corruptions.py: what each does to an image, and what it hangs on."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image

from cifar_lessons.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from cifar_lessons.errors import UserError

RANDOM = {"gaussian_noise", "shot_noise", "impulse_noise", "motion_blur", "fog", "elastic"}
# Severity 1 of saturate takes colour away, and 3 adds some; elastic trades stretching for bending.
NOT_MONOTONE = {"saturate", "elastic"}
each = pytest.mark.parametrize("name", CORRUPTIONS)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Smooth colour patterns with some grain, so that blur, colour and shift all show."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (12, 9, 9, 3), dtype=np.uint8)
    smooth = np.stack(
        [Image.fromarray(c).resize((32, 32), Image.Resampling.BICUBIC) for c in coarse]
    )
    grain = rng.integers(0, 256, smooth.shape)
    return (0.85 * smooth + 0.15 * grain).astype(np.uint8).transpose(0, 3, 1, 2)


def change(images: np.ndarray, name: str, severity: int, **options) -> float:
    spoiled = corrupt(images, name, severity, **options).astype(float)
    return float(np.abs(spoiled - images).mean())


# --- What holds for all of them ---------------------------------------------------------------


@each
@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_spoiled_image_is_an_image_and_another_one(images, name, severity):
    before = images.copy()
    spoiled = corrupt(images, name, severity)
    assert spoiled.dtype == np.uint8
    assert spoiled.shape == images.shape
    assert change(images, name, severity) > 0.3
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - NOT_MONOTONE))
def test_a_higher_severity_changes_more(images, name):
    changes = [change(images, name, severity) for severity in SEVERITIES]
    assert changes == sorted(changes)
    assert changes[-1] > 1.2 * changes[0]


@each
def test_an_image_depends_on_its_position_and_not_on_its_batch(images, name):
    whole = corrupt(images, name, 3, index=np.arange(100, 112))
    part = corrupt(images[[7, 2]], name, 3, index=np.array([107, 102]))
    np.testing.assert_array_equal(part, whole[[7, 2]])


@each
def test_only_what_is_random_hangs_on_the_seed_and_the_position(images, name):
    first = corrupt(images, name, 3)
    np.testing.assert_array_equal(corrupt(images, name, 3), first)
    for options in ({"seed": 1}, {"index": np.arange(50, 62)}):
        assert np.array_equal(corrupt(images, name, 3, **options), first) is (name not in RANDOM)


def test_severities_differ_in_strength_and_not_in_luck():
    grey = np.full((2, 3, 32, 32), 128, np.uint8)
    weak, strong = (corrupt(grey, "gaussian_noise", s).astype(float) - 128 for s in (1, 4))
    assert np.corrcoef(weak.ravel(), strong.ravel())[0, 1] > 0.99
    broken = [corrupt(grey, "impulse_noise", s) != 128 for s in (1, 4)]
    assert (broken[1] | ~broken[0]).all()  # what is broken at 1 is broken at 4


@each
def test_no_image_is_a_batch_too(images, name):
    assert corrupt(images[:1], name, 1).shape == (1, 3, 32, 32)


# --- One by one -------------------------------------------------------------------------------


def test_noise_has_the_sizes_of_the_source():
    grey = np.full((40, 3, 32, 32), 128, np.uint8)
    noise = corrupt(grey, "gaussian_noise", 5) / 255 - 128 / 255
    assert noise.std() == pytest.approx(0.10, rel=0.02)
    assert abs(noise.mean()) < 0.002
    shot = corrupt(grey, "shot_noise", 5) / 255  # variance of a mean of photons: x / photons
    assert shot.var() == pytest.approx(128 / 255 / 50, rel=0.05)
    impulse = corrupt(grey, "impulse_noise", 5)
    assert (impulse == 0).mean() == pytest.approx(0.035, rel=0.1)
    assert (impulse == 255).mean() == pytest.approx(0.035, rel=0.1)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_and_saturation_are_those_of_the_colour_model(images, severity):
    value = (0.05, 0.1, 0.15, 0.2, 0.3)[severity - 1]
    factor, added = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))[severity - 1]
    bright, colourful = (corrupt(images[:1], n, severity)[0] for n in ("brightness", "saturate"))
    for at in np.random.default_rng(1).integers(0, 32, (60, 2)):
        h, s, v = colorsys.rgb_to_hsv(*images[0][:, at[0], at[1]] / 255)
        expected = colorsys.hsv_to_rgb(h, s, min(1, v + value))
        np.testing.assert_allclose(bright[:, at[0], at[1]], 255 * np.array(expected), atol=0.51)
        expected = colorsys.hsv_to_rgb(h, min(1, s * factor + added), v)
        np.testing.assert_allclose(colourful[:, at[0], at[1]], 255 * np.array(expected), atol=0.51)


def test_black_gets_brighter_and_grey_stays_grey():
    dark = np.zeros((1, 3, 32, 32), np.uint8)
    assert (corrupt(dark, "brightness", 5) == round(0.3 * 255)).all()
    assert (corrupt(dark + 100, "saturate", 5) == 100).all()


def test_contrast_shrinks_the_distance_to_the_mean_colour(images):
    spoiled = corrupt(images, "contrast", 4).astype(float)
    mean = images.mean(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(spoiled, mean + 0.3 * (images - mean), atol=0.51)


def test_jpeg_and_pixelate_are_pillows(images):
    picture = Image.fromarray(images[3].transpose(1, 2, 0))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=58)
    expected = np.asarray(Image.open(buffer)).transpose(2, 0, 1)
    np.testing.assert_array_equal(corrupt(images, "jpeg", 3)[3], expected)
    small = picture.resize((24, 24), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BOX)
    spoiled = corrupt(images, "pixelate", 4)[3]
    np.testing.assert_array_equal(spoiled, np.asarray(small).transpose(2, 0, 1))


@pytest.mark.parametrize(
    "name", ["defocus_blur", "motion_blur", "zoom_blur", "elastic", "pixelate"]
)
def test_what_moves_pixels_leaves_a_flat_image_flat(name):
    flat = np.full((3, 3, 32, 32), 90, np.uint8)
    for severity in SEVERITIES:
        np.testing.assert_allclose(corrupt(flat, name, severity).astype(int), 90, atol=1)


def test_fog_is_grey_and_keeps_no_pixel_above_the_old_maximum(images):
    spoiled = corrupt(images, "fog", 5).astype(int)
    assert (spoiled.max((1, 2, 3)) <= images.max((1, 2, 3))).all()
    black = np.zeros((1, 3, 32, 32), np.uint8)
    black[0, :, 0, 0] = 200  # else there is no maximum to keep
    cloud = corrupt(black, "fog", 3)[0].astype(int)
    np.testing.assert_array_equal(cloud[0], cloud[1])
    assert cloud[0, 1:, 1:].std() > 5  # and it is uneven


# --- Mistakes ---------------------------------------------------------------------------------


def test_mistakes_name_the_value_and_the_mend(images):
    with pytest.raises(UserError, match="no corruption 'fogg': did you mean 'fog'"):
        corrupt(images, "fogg", 1)
    with pytest.raises(UserError, match="severity must be 1, 2, 3, 4 or 5, got 6"):
        corrupt(images, "fog", 6)
    with pytest.raises(ValueError, match=r"got float64 \(12, 3, 32, 32\); give the pixels before"):
        corrupt(images / 255, "fog", 1)
    with pytest.raises(ValueError, match=r"\(3,\) positions for 12 images"):
        corrupt(images, "fog", 1, index=np.arange(3))
