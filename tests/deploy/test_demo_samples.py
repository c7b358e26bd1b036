"""Mirrors cifar_lessons/deploy/demo_samples.py."""

import io

import numpy as np
from PIL import Image

from cifar_lessons.data.cifar import synthetic
from cifar_lessons.deploy.demo_samples import OUTSIDERS, png, samples


def test_a_sample_of_each_class_and_some_of_none():
    data = synthetic(num_train=100, num_test=40, val_size=0)
    inside, outside = samples(data)
    assert inside.heading.startswith("CIFAR-10 is not here, so these are patterns made up")
    assert [words.partition(",")[0] for words, _ in inside.pictures] == list(data.classes)
    for words, picture in inside.pictures:
        row = int(words.rpartition(" ")[2])
        pixels = np.asarray(Image.open(io.BytesIO(picture)))
        np.testing.assert_array_equal(pixels, data.test.images[row].permute(1, 2, 0).numpy())
        assert words.startswith(data.classes[data.test.labels[row]])
        assert row == data.test.labels.tolist().index(data.test.labels[row])
    assert [words.split()[1].strip(",") for words, _ in outside.pictures] == list(OUTSIDERS)


def test_a_png_keeps_every_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)
