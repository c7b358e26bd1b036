"""Mirrors cifar_lessons/studies.py."""

import json

import numpy as np
import pytest

from cifar_lessons import studies
from cifar_lessons.errors import UserError


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)


def test_statistics_agree_with_numpy_in_double_precision(images):
    found = studies.pixel_statistics(images)
    scaled = images.astype(np.float64) / 255
    assert found["mean"] == pytest.approx(scaled.mean(axis=(0, 2, 3)), rel=1e-12)
    assert found["std"] == pytest.approx(scaled.std(axis=(0, 2, 3)), rel=1e-12)
    own = scaled.std(axis=(2, 3), ddof=1).mean(axis=0)
    assert found["image_std"] == pytest.approx(own, rel=1e-12)


def test_stds_of_single_images_are_smaller_when_images_differ_in_brightness():
    bright = np.repeat(np.array([0, 255], np.uint8), 3 * 1024).reshape(2, 3, 32, 32)
    found = studies.pixel_statistics(bright)
    assert found["std"] == [0.5] * 3
    assert found["image_std"] == [0.0] * 3


def test_exact_duplicates_are_counted_where_they_are(images):
    train, test = images[:30].copy(), images[30:].copy()
    train[3] = train[4] = train[0]  # two repeats within train
    test[1] = test[0]  # one within test
    test[5] = train[7]  # one test image that is in train
    assert studies.exact_duplicates(train, test) == {
        "within_train": 2,
        "within_test": 1,
        "test_in_train": 1,
    }
    nudged = test.copy()
    nudged[5, 0, 0, 0] ^= 1
    assert studies.exact_duplicates(train, nudged)["test_in_train"] == 0


def test_near_duplicates_survive_brightness_noise_and_mirroring_only():
    rng = np.random.default_rng(1)
    smooth = rng.integers(40, 200, (12, 3, 4, 4)).repeat(8, axis=2).repeat(8, axis=3)
    train, test = smooth[:6], smooth[6:].copy()
    test[0] = train[2] + 20  # brighter
    test[1] = train[3] + rng.integers(-5, 6, train[3].shape)  # noisier
    test[2] = train[4][..., ::-1]  # mirrored
    assert studies.near_test(train.astype(np.uint8), test.astype(np.uint8)) == 3
    shifted = np.roll(train[:1], 6, axis=3).astype(np.uint8)
    assert studies.near_test(train.astype(np.uint8), shifted) == 0  # as documented


def test_data_facts_count_a_data_set(images, monkeypatch, tmp_path):
    labels = np.arange(40) % 10
    arrays = (images[:30], labels[:30], images[30:], labels[30:], tuple("abcdefghij"))
    monkeypatch.setattr(
        "cifar_lessons.data.cifar.read_official", lambda name, root: (*arrays, f"md5 of {name}")
    )
    found = studies.measure("data_facts", tmp_path)
    assert (found["images"], found["train_images"], found["test_images"]) == (40, 30, 10)
    assert (found["classes"], found["shape"], found["digest"]) == (
        10,
        [3, 32, 32],
        "md5 of cifar10",
    )
    assert (found["train_per_class"], found["test_per_class"]) == (3, 1)
    assert found["duplicates"]["test_in_train"] == 0
    assert json.loads(json.dumps(found)) == found
    assert studies.measure("data_facts_cifar100", tmp_path)["digest"] == "md5 of cifar100"


def test_unequal_classes_are_listed(images):
    assert studies._per_class(np.array([0, 0, 1, 2]), 4) == [2, 1, 1, 0]


def test_parameter_counts_are_those_of_the_contract():
    found = studies.parameter_counts()
    assert found["models"] == {
        "simple_cnn": 2_122_186,
        "resnet18": 11_173_962,
        "resnet34": 21_282_122,
        "resnet50": 23_520_842,
        "mobilenet_v2": 2_236_682,
        "mobilenet_v2 x0.75": 1_368_234,
        "mobilenet_v2 x0.5": 700_490,
    }
    assert found["recipes"]["deep_cnn"] / found["recipes"]["simple_cnn"] == pytest.approx(
        4.14, abs=0.01
    )
    assert found["blocks"] == {
        "resnet18": ["BasicBlock"],
        "resnet34": ["BasicBlock"],
        "resnet50": ["Bottleneck"],
    }
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("name", "module"),
    [("corruptions", "corruption_study"), ("near_duplicates", "near_duplicates")],
)
def test_studies_of_networks_are_measured_by_their_modules(monkeypatch, tmp_path, name, module):
    at = f"cifar_lessons.robustness.{module}.{name}"
    monkeypatch.setattr(at, lambda root: {"measured in": str(root)})
    assert studies.measure(name, tmp_path) == {"measured in": str(tmp_path)}


def test_an_unknown_study_is_answered_with_the_nearest_name(tmp_path):
    with pytest.raises(UserError, match="no study 'data_fact': did you mean 'data_facts'"):
        studies.measure("data_fact", tmp_path)


def test_missing_data_names_the_folder_and_the_command(tmp_path):
    with pytest.raises(UserError, match="cifar-lessons data"):
        studies.measure("data_facts", tmp_path)


def test_a_study_that_another_command_measures_says_which(tmp_path):
    typed = "cifar-lessons tune tuning_base --trials 48 --repeat 5 --record"
    with pytest.raises(UserError, match=f"study 'tuning' is measured by `{typed}`"):
        studies.measure("tuning", tmp_path)
