"""Mirrors cifar_lessons/data/pairs.py: views that depend on (seed, epoch, image) alone."""

from dataclasses import replace

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from cifar_lessons.config import DataConfig, PairConfig
from cifar_lessons.data import cifar
from cifar_lessons.data.loader import normalise
from cifar_lessons.data.pairs import (
    PairLoader,
    ViewDraws,
    crop_and_resize,
    draw_view,
    look,
)

PAIR = PairConfig(side=24)
DATA = DataConfig(pair=PAIR)


@pytest.fixture(scope="module")
def split() -> cifar.Split:
    return cifar.synthetic(num_train=300, num_test=20, val_size=100).train


def drawn(num_images: int = 200, config: PairConfig = PAIR, **changes: int) -> ViewDraws:
    return draw_view(num_images, config, **{"seed": 0, "epoch": 0, "view": 0, **changes})


@pytest.mark.parametrize("side", [12, 24, 32])
def test_a_crop_is_torchvisions_crop_of_the_same_box(split, side):
    draws = drawn()
    found = crop_and_resize(split.images.float() / 255, draws, side)
    for image, box, flip, ours in zip(split.images, draws.box, draws.flip, found, strict=True):
        cut = reference.resized_crop(
            image.float() / 255, *box.tolist(), size=[side, side], antialias=False
        )
        theirs = reference.horizontal_flip(cut) if flip else cut
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_a_view_is_made_as_torchvision_makes_it_step_by_step(split):
    draws = drawn()
    found = look(split.images, draws, PAIR)
    assert found.min() >= 0
    assert found.max() <= 1
    for number in range(0, 200, 7):
        image = split.images[number].float() / 255
        one = draws[torch.tensor([number])]
        view = reference.resized_crop(image, *one.box[0].tolist(), size=[24, 24], antialias=False)
        view = reference.horizontal_flip(view) if one.flip else view
        for name in ("brightness", "contrast", "saturation", "hue"):
            view = getattr(reference, f"adjust_{name}")(view, getattr(one, name).item())
        view = reference.rgb_to_grayscale(view, 3) if one.grey else view
        torch.testing.assert_close(found[number], view, atol=5e-5, rtol=0)


def test_boxes_are_distributed_as_torchvisions():
    """Mean and spread of area and shape, within four standard errors of theirs."""
    ours = drawn(4_000).box.double()
    crop = v2.RandomResizedCrop(24, scale=(0.2, 1.0))
    torch.manual_seed(0)
    image = torch.zeros(3, 32, 32)
    made = [crop.make_params([image]) for _ in range(2_000)]
    theirs = torch.tensor([[p["top"], p["left"], p["height"], p["width"]] for p in made]).double()
    for name, of in {
        "area": lambda b: b[:, 2] * b[:, 3],
        "shape": lambda b: (b[:, 3] / b[:, 2]).log(),
        "top": lambda b: b[:, 0],
        "left": lambda b: b[:, 1],
    }.items():
        a, b = of(ours), of(theirs)
        error = (a.var() / len(a) + b.var() / len(b)).sqrt()
        assert abs(a.mean() - b.mean()) < 4 * error, name
        assert a.std().item() == pytest.approx(b.std().item(), rel=0.1), name


def test_every_crop_lies_inside_and_keeps_about_its_share():
    box = drawn(3_000).box
    assert (box[:, :2] >= 0).all()
    assert (box[:, :2] + box[:, 2:] <= 32).all()
    area = box[:, 2] * box[:, 3] / 32**2
    assert area.min() > 0.17  # 0.2, but for rounding to whole pixels
    assert box[:, 2:].max() == 32


def test_shares_of_flips_greys_and_moved_colours_are_as_told():
    draws = drawn(4_000)
    assert draws.flip.float().mean() == pytest.approx(0.5, abs=0.04)
    assert draws.grey.float().mean() == pytest.approx(0.2, abs=0.04)
    assert (draws.brightness != 1).float().mean() == pytest.approx(0.8, abs=0.04)
    moved = draws.brightness != 1
    assert torch.equal(moved, draws.hue != 0)  # all of them or none
    assert draws.brightness.min() >= 0.6
    assert draws.brightness.max() <= 1.4
    assert draws.hue.abs().max() <= 0.1


def test_with_everything_off_a_view_is_the_image(split):
    off = PairConfig(side=32, smallest=1.0, jitter=0.0, grey=0.0)
    draws = drawn(200, off)
    # Even then the shape of a crop varies, as torchvision's does.
    whole = replace(draws, box=torch.tensor([[0, 0, 32, 32]] * 200), flip=draws.flip & False)
    found = look(split.images, whole, off)
    torch.testing.assert_close(found, split.images.float() / 255, atol=1e-5, rtol=0)


def test_seed_epoch_and_view_each_give_other_draws():
    first = drawn().box
    for change in ({"seed": 1}, {"epoch": 1}, {"view": 1}):
        assert not torch.equal(first, drawn(**change).box)
    assert torch.equal(first, drawn().box)


def test_a_pair_depends_on_seed_epoch_and_image_alone(split):
    def by_image(batch_size: int) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        loader = PairLoader(split, DATA, batch_size=batch_size, seed=3)
        return {
            int(i): (a, b)
            for batch in loader.epoch(2)
            for i, a, b in zip(batch.index, batch.images, batch.second, strict=True)
        }

    many, few = by_image(200), by_image(20)
    assert len(many) == len(few) == 200
    for image, (a, b) in many.items():
        # A matrix product of another batch size may round in another order.
        torch.testing.assert_close(a, few[image][0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(b, few[image][1], atol=1e-4, rtol=1e-4)
        assert not torch.equal(a, b)


def test_a_batch_holds_what_look_gives_normalised(split):
    loader = PairLoader(split, DATA, batch_size=50, seed=1)
    batch = next(iter(loader.epoch(4)))
    draws = draw_view(200, PAIR, seed=1, epoch=4, view=1)
    where = {int(i): k for k, i in enumerate(split.index)}
    which = torch.tensor([where[int(i)] for i in batch.index])
    expected = normalise(look(split.images[which], draws[which], PAIR) * 255, DATA)
    torch.testing.assert_close(batch.second, expected, atol=1e-4, rtol=1e-4)
    assert batch.images.shape == (50, 3, 24, 24)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)


def test_a_resume_inside_an_epoch_sees_the_same_pairs(split):
    loader = PairLoader(split, DATA, batch_size=50, seed=1)
    whole, rest = list(loader.epoch(1)), list(loader.epoch(1, skip=2))
    assert len(rest) == 2
    assert torch.equal(rest[0].second, whole[2].second)
