"""Mirrors cifar_lessons/finetuning/network.py: what moves, how fast, and that it can be resumed."""

import dataclasses
import time
from dataclasses import replace

import pytest
import torch

from cifar_lessons import pretrained
from cifar_lessons.config import Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.fields import from_dict, override, to_dict
from cifar_lessons.finetuning import network
from cifar_lessons.finetuning.folder import read_folder
from cifar_lessons.finetuning.network import BODY_SHARE, PEAK_LR, recipe_from, tune

from .conftest import FP32


@pytest.fixture(scope="module")
def pictures(drawn):
    return read_folder(drawn, val_share=0.25)


def quick(tiny, **changes):
    return replace(recipe_from(tiny, pictures=18, epochs=3), batch_size=6, **changes)


def rates(monkeypatch) -> list[dict[str, float]]:
    """Watch the rate of each group, by how it was built, at each step."""
    seen: list[dict[str, float]] = []
    step = torch.optim.SGD.step

    def watch(self, *arguments, **options):
        by_group = {str(g["lr_scale"]): g["lr"] for g in self.param_groups}
        seen.append(by_group)
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.SGD, "step", watch)
    return seen


def test_what_was_learned_before_moves_more_slowly_than_the_head(tiny, pictures, monkeypatch):
    seen = rates(monkeypatch)
    recipe = quick(tiny)
    found = tune(pictures, tiny, recipe, seed=0, runtime=FP32, progress=False)
    assert len(seen) == 9
    assert max(step["1.0"] for step in seen) == pytest.approx(recipe.optim.peak_lr, rel=0.1)
    for step in seen:
        assert step[str(BODY_SHARE)] == pytest.approx(BODY_SHARE * step["1.0"])
    assert 0 <= found.head_alone <= 1
    assert [row["epoch"] for row in found.result.history] == [1, 2, 3]


def test_new_weights_all_move_at_one_rate(tiny, pictures, monkeypatch):
    seen = rates(monkeypatch)
    tune(pictures, None, quick(tiny), seed=0, runtime=FP32, progress=False)
    assert {name for step in seen for name in step} == {"1.0"}
    assert max(step["1.0"] for step in seen) == pytest.approx(PEAK_LR, rel=0.1)


def test_the_body_starts_from_the_given_weights(tiny, pictures, monkeypatch):
    """Training that moves nothing shows what it began with."""
    monkeypatch.setattr(torch.optim.SGD, "step", lambda *_, **__: None)
    model = tune(pictures, tiny, quick(tiny), seed=0, runtime=FP32, progress=False).result.model
    from safetensors.torch import load_file

    learned = load_file(tiny.folder / "weights.safetensors")
    mine = dict(model.named_parameters())
    body = [name for name in mine if not name.startswith("head.")]
    assert body
    assert all(torch.equal(mine[name], learned[name]) for name in body)
    assert model.num_classes == 3


def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(tiny, pictures, tmp_path):
    whole = tune(pictures, tiny, quick(tiny), seed=0, runtime=FP32, progress=False)
    path = tmp_path / "checkpoint.pt"
    stopped = tune(
        pictures, tiny, quick(tiny), seed=0, runtime=FP32, checkpoint=path,
        deadline=time.monotonic() - 1, progress=False,
    )  # fmt: skip
    assert not stopped.result.finished
    again = tune(pictures, tiny, quick(tiny), seed=0, runtime=FP32, checkpoint=path, progress=False)
    assert again.result.finished
    mine, other = again.result.model.state_dict(), whole.result.model.state_dict()
    assert all(torch.equal(mine[name], other[name]) for name in other)


def test_a_checkpoint_on_other_pictures_is_refused(tiny, pictures, drawn, tmp_path):
    path = tmp_path / "checkpoint.pt"
    given = {"runtime": FP32, "checkpoint": path, "progress": False, "seed": 0}
    tune(pictures, tiny, quick(tiny), deadline=time.monotonic() - 1, **given)
    others = read_folder(drawn, val_share=0.25, seed=1)
    with pytest.raises(UserError, match=r"is of another run \(the pictures: saved"):
        tune(others, tiny, quick(tiny), **given)


def test_a_recipe_keeps_the_network_and_its_normalisation_and_no_more(tiny):
    recipe = recipe_from(tiny, pictures=100, epochs=4, flip=False)
    assert recipe.name == "tiny_finetuned"
    assert recipe.model.options == {"width": 4}
    assert list(recipe.data.mean) == tiny.recipe["data"]["mean"]
    assert (recipe.data.val_size, recipe.data.augment.flip) == (0, "none")
    twice = replace(tiny, recipe={**tiny.recipe, "name": "tiny_finetuned"})
    assert recipe_from(twice, pictures=100).name == "tiny_finetuned"


@pytest.mark.parametrize("count", [1, 2, 10, 32, 47, 48, 95, 1000, 4001])
def test_few_pictures_are_left_over_by_the_batches_of_an_epoch(count):
    size = recipe_from(pretrained.best(), pictures=count).batch_size
    assert 1 <= size <= 1.5 * network.BATCH
    assert count % size < count // size + 1


def test_of_the_starts_data_only_what_its_pixels_need_is_kept(tiny):
    """A share of its labels, its folds or its smaller images say nothing about these pictures."""
    old = from_dict(Recipe, tiny.recipe)
    few = override(old, "data.label_share=0.5", "data.mean=[0.1,0.2,0.3]", "data.folds=3")
    found = recipe_from(dataclasses.replace(tiny, recipe=to_dict(few)), pictures=18).data
    assert (found.mean, found.std) == ((0.1, 0.2, 0.3), old.data.std)
    assert (found.label_share, found.folds, found.val_size, found.pair) == (1.0, 0, 0, None)


def test_features_without_classes_are_no_start(tiny):
    with pytest.raises(UserError, match="tiny has learned features and no classes"):
        recipe_from(dataclasses.replace(tiny, kind="pretrain"), pictures=18)
