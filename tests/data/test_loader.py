"""Mirrors cifar_lessons/data/loader.py."""

import pytest
import torch
import torchvision.transforms.v2 as transforms
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from cifar_lessons.config import AugmentConfig, DataConfig
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.loader import Batch, TrainLoader, eval_batches, normalise
from cifar_lessons.distributed import Group
from cifar_lessons.errors import UserError

N = 50
PLAIN = DataConfig()
FULL = DataConfig(augment=AugmentConfig(crop_padding=4, flip="random", cutout=8))


@pytest.fixture
def split() -> Split:
    """Labels and official positions that tell which image a row is."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (N, 3, 32, 32), dtype=torch.uint8, generator=rng)
    return Split(images, torch.arange(N) % 10, 1_000 + 7 * torch.arange(N))


def loader(split: Split, data: DataConfig = FULL, *, batch_size: int = 8, seed: int = 0):
    return TrainLoader(split, data, batch_size=batch_size, seed=seed)


def by_index(batches: list[Batch]) -> dict[int, Tensor]:
    return {i: image for b in batches for i, image in zip(b.index.tolist(), b.images, strict=True)}


def indices(batches: list[Batch]) -> list[int]:
    return torch.cat([b.index for b in batches]).tolist()


def test_normalisation_is_torchvisions(split):
    reference = transforms.Compose(
        [
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Normalize(list(PLAIN.mean), list(PLAIN.std)),
        ]
    )
    got = normalise(split.images, PLAIN)
    assert got.dtype is torch.float32
    torch.testing.assert_close(got, reference(split.images), rtol=1e-5, atol=1e-5)


def test_images_come_in_the_one_layout_of_a_device_that_has_one(split, monkeypatch):
    """As on MPS; elsewhere they keep the one that they have."""
    last = normalise(split.images.contiguous(memory_format=torch.channels_last), PLAIN)
    assert last.is_contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr("cifar_lessons.data.loader.layout", lambda device: torch.contiguous_format)
    usual = normalise(split.images.contiguous(memory_format=torch.channels_last), PLAIN)
    assert usual.is_contiguous()
    torch.testing.assert_close(usual, last, rtol=0, atol=0)


def test_the_recipe_decides_mean_and_std(split):
    data = DataConfig(mean=(0.0, 0.5, 1.0), std=(1.0, 0.5, 0.25))
    got = normalise(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8), data)
    assert got.flatten().tolist() == pytest.approx([1.0, 1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("data", [PLAIN, FULL], ids=["plain", "augmented"])
def test_what_a_batch_is(split, data):
    for batch in loader(split, data).epoch(0):
        assert len(batch) == 8
        assert batch.images.shape == (8, 3, 32, 32)
        assert batch.images.dtype is torch.float32
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert batch.labels.dtype is batch.index.dtype is torch.int64


def test_labels_and_pixels_stay_with_their_image(split):
    seen = list(loader(split, PLAIN).epoch(0))
    expected = normalise(split.images, PLAIN)
    for batch in seen:
        position = (batch.index - 1_000) // 7
        assert torch.equal(batch.labels, position % 10)
        assert torch.equal(batch.images, expected[position])


def test_an_epoch_shows_no_image_twice_and_drops_a_short_last_batch(split):
    batches = list(loader(split, batch_size=8).epoch(0))
    assert len(batches) == len(loader(split, batch_size=8)) == N // 8
    assert len(set(indices(batches))) == N // 8 * 8
    # Others are left out in the next epoch, so all are seen in the long run.
    left_out = [
        set(split.index.tolist()) - set(indices(list(loader(split).epoch(e)))) for e in (0, 1)
    ]
    assert left_out[0] != left_out[1]


def test_a_batch_larger_than_the_split_is_the_split(split):
    batches = list(loader(split, batch_size=128).epoch(0))
    assert [len(b) for b in batches] == [N]
    assert sorted(indices(batches)) == split.index.tolist()


@pytest.mark.parametrize("flip", ["random", "alternating"])
def test_a_view_depends_on_seed_epoch_and_image_alone(split, flip):
    """The batch size and what was asked before change the batches, but no view."""
    data = DataConfig(augment=AugmentConfig(crop_padding=4, flip=flip, cutout=8))
    whole = by_index(list(loader(split, data, batch_size=N).epoch(3)))
    for size in (1, 7, 16):
        used = loader(split, data, batch_size=size)
        list(used.epoch(0))
        torch.rand(3)
        views = by_index(list(used.epoch(3)))
        assert len(views) == N // size * size
        assert all(torch.equal(view, whole[i]) for i, view in views.items())


def test_seeds_and_epochs_give_other_orders_and_other_views(split):
    runs = {
        (seed, epoch): list(loader(split, batch_size=N, seed=seed).epoch(epoch))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    keys = list(runs)
    for i, one in enumerate(keys):
        for other in keys[:i]:
            assert indices(runs[one]) != indices(runs[other]), (one, other)
            a, b = by_index(runs[one]), by_index(runs[other])
            assert sum(torch.equal(a[k], b[k]) for k in a) <= 1, (one, other)


@pytest.mark.parametrize("skip", [0, 1, 4, 6])
def test_a_resumed_epoch_goes_on_where_it_stopped(split, skip):
    expected = list(loader(split).epoch(2))[skip:]
    resumed = list(loader(split).epoch(2, skip=skip))
    assert len(resumed) == len(expected)
    for a, b in zip(resumed, expected, strict=True):
        assert torch.equal(a.index, b.index)
        assert torch.equal(a.images, b.images)


def test_global_random_state_is_neither_read_nor_moved(split):
    torch.manual_seed(0)
    first = next(loader(split).epoch(0))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    second = next(loader(split).epoch(0))
    assert torch.equal(first.images, second.images)
    assert torch.equal(torch.get_rng_state(), state)


def test_two_loaders_side_by_side_do_not_disturb_each_other(split):
    alone = [b.index.tolist() for b in loader(split).epoch(0)]
    together = zip(loader(split).epoch(0), loader(split, seed=1).epoch(5), strict=True)
    assert [a.index.tolist() for a, _ in together] == alone


def test_the_split_is_left_as_it_was(split):
    before = split.images.clone()
    for batch in loader(split).epoch(0):
        batch.images.zero_()
        batch.labels.fill_(-1)
    for batch in eval_batches(split, PLAIN, batch_size=8):
        batch.images.zero_()
    assert torch.equal(split.images, before)
    assert torch.equal(split.labels, torch.arange(N) % 10)


@pytest.mark.parametrize("size", [8, N, 128])
def test_evaluation_shows_every_image_once_in_order_and_unchanged(split, size):
    batches = list(eval_batches(split, FULL, batch_size=size))
    assert indices(batches) == split.index.tolist()
    assert torch.cat([b.labels for b in batches]).tolist() == split.labels.tolist()
    images = torch.cat([b.images for b in batches])
    assert torch.equal(images, normalise(split.images, FULL))
    assert all(b.images.is_contiguous(memory_format=torch.channels_last) for b in batches)


def test_batches_lie_on_the_device_asked_for():
    """On CUDA without a GPU: fake tensors have a device and a shape, but no memory."""
    with FakeTensorMode():
        images = torch.empty(N, 3, 32, 32, dtype=torch.uint8)
        split = Split(images, torch.zeros(N, dtype=torch.int64), torch.arange(N))
        batches = list(TrainLoader(split, FULL, batch_size=8, seed=0, device="cuda").epoch(0))
        batches += eval_batches(split, FULL, batch_size=8, device="cuda")
    tensors = [t for b in batches for t in (b.images, b.labels, b.index)]
    assert len(tensors) == 3 * (6 + 7)
    assert {t.device.type for t in tensors} == {"cuda"}


def test_parts_hold_the_batch_in_order_and_as_many_pixels_each():
    batch = Batch(torch.randn(100, 3, 32, 32), torch.arange(100) % 10, torch.arange(100))
    assert batch.split(None) == [batch]
    assert [len(part) for part in batch.split(25)] == [25] * 4
    assert [len(part) for part in batch.split(30)] == [34, 33, 33]
    small = batch.shrink(16)  # a quarter of the pixels
    assert small.images.shape == (100, 3, 16, 16)
    assert [len(part) for part in small.split(25)] == [100]
    assert [len(part) for part in small.split(12)] == [50, 50]
    assert torch.equal(torch.cat([part.index for part in batch.split(30)]), batch.index)
    assert torch.equal(torch.cat([part.images for part in batch.split(30)]), batch.images)
    assert batch.shrink(32) is batch


# --- shared by several processes --------------------------------------------------------------


def slices(split: Split, size: int, epoch: int) -> list[list[Batch]]:
    """The batches of an epoch as each of `size` ranks sees them, by step."""
    loaders = [
        TrainLoader(split, FULL, batch_size=12, seed=3, group=Group(rank=rank, size=size))
        for rank in range(size)
    ]
    assert {len(loader) for loader in loaders} == {N // 12}
    return list(zip(*(loader.epoch(epoch, skip=1) for loader in loaders), strict=True))


@pytest.mark.parametrize("size", [2, 3, 12])
def test_the_slices_of_all_ranks_in_a_row_are_the_batch_of_one_process(split, size):
    """The same images in the same order, augmented alike, at any number of processes."""
    alone = TrainLoader(split, FULL, batch_size=12, seed=3).epoch(2, skip=1)
    for whole, parts in zip(alone, slices(split, size, 2), strict=True):
        assert [len(part) for part in parts] == [12 // size] * size
        assert torch.equal(torch.cat([part.index for part in parts]), whole.index)
        assert torch.equal(torch.cat([part.labels for part in parts]), whole.labels)
        assert torch.equal(torch.cat([part.images for part in parts]), whole.images)


@pytest.mark.parametrize(
    ("batch_size", "size", "said"),
    [
        (12, 5, "a batch of 12 images does not split into 5 equal parts; start 4 or 6 processes"),
        (7, 2, "7 images does not split into 2 equal parts; start 1 or 7 processes"),
        (12, 5, "or try --set batch_size=10"),
        (2, 5, "a batch of 2 images does not split into 5 equal parts; start 2 processes, or"),
        # Fewer images than a batch: they are the batch.
        (512, 4, f"a batch of {N} images does not split into 4 equal parts; start 2 or 5"),
    ],
)
def test_a_batch_that_does_not_split_is_told_with_numbers_that_fit(split, batch_size, size, said):
    with pytest.raises(UserError) as error:
        TrainLoader(
            split, FULL, batch_size=batch_size, seed=0, group=Group(rank=size - 1, size=size)
        )
    assert said in str(error.value)
