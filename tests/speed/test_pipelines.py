"""Mirrors cifar_lessons/speed/pipelines.py: the steps do the same work, each in its own way."""

import itertools

import pytest
import torch

from cifar_lessons.benchmark import Recipe
from cifar_lessons.config import DataConfig, ModelConfig
from cifar_lessons.data.augment import draw
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.data.loader import TrainLoader
from cifar_lessons.errors import UserError
from cifar_lessons.recipes import FLIP_CROP
from cifar_lessons.speed import pipelines, tables
from cifar_lessons.speed.pipelines import PerImage, bench_input, one_by_one, per_image_loader

RECIPE = Recipe(
    name="bench_input",
    model=ModelConfig(name="simple_cnn"),
    data=DataConfig(val_size=0, augment=FLIP_CROP),
    batch_size=8,
)
SPLIT = synthetic(num_train=30, num_test=1, val_size=0).train


def test_image_by_image_gives_our_batches_bit_for_bit():
    ours = TrainLoader(SPLIT, RECIPE.data, batch_size=8, seed=0)
    expected = [*ours.epoch(0), *ours.epoch(1)]
    found = list(itertools.islice(one_by_one(SPLIT, RECIPE), len(expected)))
    for a, b in zip(found, expected, strict=True):
        for name in ("images", "labels", "index"):
            assert torch.equal(getattr(a, name), getattr(b, name))
        assert a.images.is_contiguous(memory_format=torch.channels_last)


def test_single_images_are_normalised_like_batches():
    draws = draw(len(SPLIT), RECIPE.data.augment, seed=0, epoch=0)
    images = PerImage(SPLIT, RECIPE.data, draws=draws)
    batch = next(iter(TrainLoader(SPLIT, RECIPE.data, batch_size=8, seed=0).epoch(0)))
    for row, i in enumerate(batch.index.tolist()):
        pixels, label = images[i]
        torch.testing.assert_close(pixels, batch.images[row], rtol=0, atol=1e-6)
        assert label == batch.labels[row]


def test_the_loader_over_single_images_gives_all_of_them():
    sizes = [len(labels) for _, labels in per_image_loader(SPLIT, RECIPE)]
    assert sizes == [8, 8, 8, 6]


def test_a_whole_benchmark_as_short_as_it_gets(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pipelines, "full_size", lambda data: data)
    result = bench_input(seconds=0.01, batch_size=4, data=tmp_path, command="typed")
    values = result["values"]
    loops = {"ours", "plain_0", "plain_1", "plain_2", "image_tensors", "image_loop"}
    assert set(values["pipeline"]) == loops
    assert all(len(rates) >= 3 and min(rates) > 0 for rates in values["pipeline"].values())
    assert values["synthetic"] is True
    assert values["pipeline_alone"]["against"].startswith("plain_")
    assert result["provenance"]["packages"]["pillow"]
    assert "+ whole batches: ours" in str(tables.pipeline(result))
    assert "times as fast" in tables.best_plain(result)
    assert "round 3" in capsys.readouterr().out


def test_a_mistake_is_told_before_the_data_are_read(monkeypatch):
    monkeypatch.setattr(pipelines, "load_or_synthetic", lambda *_, **__: 1 / 0)
    with pytest.raises(UserError, match="--seconds must be in"):
        bench_input(seconds=-1)
    with pytest.raises(UserError, match="batch_size must be in"):
        bench_input(batch_size=0)
