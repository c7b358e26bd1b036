"""Mirrors cifar_lessons/folds/live.py."""

import dataclasses
import re

import numpy as np
import pytest
import torch

from cifar_lessons.data.cifar import synthetic
from cifar_lessons.evaluation.label_errors import Suspects
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.folds import live
from cifar_lessons.folds.out_of_fold import OutOfFold
from cifar_lessons.notebook import Session


@pytest.fixture(scope="module")
def data():
    return synthetic(num_train=140, num_test=20, val_size=40)


@pytest.mark.parametrize(("profile", "images"), [("quick", 60), ("full", 100)])
def test_every_image_is_predicted_by_a_network_that_never_saw_it(
    data, runtime, recipe, capsys, monkeypatch, profile, images
):
    monkeypatch.setattr(live, "QUICK_IMAGES", 60)
    seen = []
    real = live.train

    def watched(recipe, fold, **kwargs):
        seen.append(set(fold.train.index.tolist()))
        assert len(fold.val) == len(fold.test) == 0
        return real(recipe, fold, **kwargs)

    monkeypatch.setattr(live, "train", watched)
    found = live.live_folds(Session(data, runtime, profile), recipe, folds=3)
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("A quick taste, not a result: 3 folds of 60") == (profile == "quick")
    assert len([line for line in out if re.match(r"fold \d: ", line)]) == 3
    assert len(found.predictions) == images
    np.testing.assert_array_equal(found.predictions.labels, data.train.labels[:images])
    everything = set(data.train.index[:images].tolist())
    assert all(abs(len(everything - trained) - images / 3) < 5 for trained in seen)
    assert set.union(*(everything - trained for trained in seen)) == everything
    assert found.predictions.correct.mean() == pytest.approx(np.mean(found.accuracies), abs=0.02)


def test_images_are_found_by_their_place_in_the_official_order(data):
    index = np.array([5, 139, 0])
    found = live.images_of(data, index)
    for place, pixels in zip(index, found, strict=True):
        split = data.train if (data.train.index == place).any() else data.val
        row = int((split.index == int(place)).nonzero())
        assert torch.equal(torch.from_numpy(pixels), split.images[row])


def test_the_sheet_needs_the_folds_and_the_real_images(data):
    labels = np.arange(140) % 10
    folds = OutOfFold(Predictions(np.eye(10)[labels], labels), np.zeros(140, int), ())
    suspects = Suspects(np.array([3, 7]), np.array([9, 1]), np.array([-0.9, -0.8]))
    assert "once the folds are recorded" in live.suspects_sheet(data, None, None)
    assert "--official-order` fetches them" in live.suspects_sheet(data, folds, suspects)
    other = dataclasses.replace(data, digest="a digest")  # real, but place 3 is another image
    assert "--official-order` fetches them" in live.suspects_sheet(other, folds, suspects)
    real = dataclasses.replace(other, official_order=True)
    sheet = live.suspects_sheet(real, folds, suspects, most=1)
    titles = [axes.get_title() for axes in sheet.axes if axes.get_title()]
    assert titles == ["pattern 3\n→ pattern 9"]
