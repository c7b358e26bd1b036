"""Mirrors cifar_lessons/plain_loop.py."""

import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.datasets import CIFAR10
from torchvision.transforms import v2

from cifar_lessons import plain_loop
from cifar_lessons.config import CIFAR10_MEAN, CIFAR10_STD
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.data.loader import Batch
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.plain_loop import (
    ImagesInMemory,
    endless,
    pil_transforms,
    plain_dataset,
    plain_loader,
    plain_step,
)
from cifar_lessons.runtime import Runtime
from cifar_lessons.training.step import train_step

DATA = synthetic(num_train=20, num_test=1, val_size=0)


def test_the_twin_gives_what_torchvision_gives_for_the_same_files(tmp_path, monkeypatch):
    pixels = DATA.train.images.contiguous().numpy().reshape(20, 3072)
    content = {"data": pixels, "labels": DATA.train.labels.tolist()}
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    (folder / "batch").write_bytes(pickle.dumps(content))
    (folder / "meta").write_bytes(pickle.dumps({"label_names": list(DATA.classes)}))
    monkeypatch.setattr(CIFAR10, "train_list", [["batch", None]])
    monkeypatch.setattr(CIFAR10, "test_list", [])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "meta", "key": "label_names", "md5": None})
    theirs, ours = CIFAR10(tmp_path, train=True), ImagesInMemory(DATA.train, None)
    assert len(ours) == len(theirs) == 20
    for (image, label), (expected, its_label) in zip(ours, theirs, strict=True):
        assert isinstance(image, Image.Image)
        assert np.array_equal(np.asarray(image), np.asarray(expected))
        assert label == its_label


def test_real_images_come_through_torchvisions_own_class(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(plain_loop, "CIFAR10", lambda *args, **kwargs: asked.append((args, kwargs)))
    plain_dataset(DATA, tmp_path)
    assert asked == []  # the twin has no files
    plain_dataset(type(DATA)(**{**vars(DATA), "official_order": True}), tmp_path)
    ((args, kwargs),) = asked
    assert args == (tmp_path,)
    assert kwargs["train"] is True


def test_a_batch_is_what_a_network_expects():
    loader = plain_loader(plain_dataset(DATA), batch_size=8, workers=0)
    sizes = [len(labels) for _, labels in loader]
    assert sizes == [8, 8, 4]
    images, labels = next(iter(loader))
    assert images.shape == (8, 3, 32, 32)
    assert images.dtype is torch.float32
    assert images.is_contiguous()
    assert labels.dtype is torch.int64


def test_pixels_are_normalised_like_ours():
    white = Image.fromarray(np.full((32, 32, 3), 255, np.uint8))
    centre = pil_transforms()(white)[:, 16, 16]  # the crop's black border never reaches it
    expected = v2.functional.normalize(torch.ones(3, 1, 1), list(CIFAR10_MEAN), list(CIFAR10_STD))
    torch.testing.assert_close(centre, expected.flatten())


def test_it_trains_exactly_as_our_step_does_in_float32():
    """Both loops do the same work, so that a ratio of their times says something."""

    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(10))

    images, labels = torch.randn(4, 3, 8, 8), torch.arange(4)
    plain, ours = network(), network()
    for net in (plain, ours):
        torch.manual_seed(1)
        net(images)  # the lazy layer takes its shape and weights
    runtime = Runtime(device=torch.device("cpu"), precision="fp32")
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9) for net in (plain, ours)]
    for _ in range(3):
        loss = plain_step(plain, [images, labels], optimizers[0], runtime.device)
        output = train_step(
            ours,
            Batch(images, labels, labels),
            SupervisedObjective(),
            optimizers[1],
            runtime=runtime,
            scaler=runtime.scaler(),
        )
        assert loss == pytest.approx(output.loss.item(), rel=1e-5)
    torch.testing.assert_close(plain.state_dict(), ours.state_dict())


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_never_end_and_closing_ends_the_workers(workers):
    batches = endless(plain_loader(plain_dataset(DATA), batch_size=8, workers=workers))
    sizes = [len(next(batches)[1]) for _ in range(7)]
    assert sizes == [8, 8, 4, 8, 8, 4, 8]
    assert len(multiprocessing.active_children()) == workers
    batches.close()
    assert multiprocessing.active_children() == []


def test_an_exception_that_is_kept_keeps_no_worker_alive():
    batches = endless(plain_loader(plain_dataset(DATA), batch_size=8, workers=1))
    next(batches)
    with pytest.raises(KeyboardInterrupt) as kept:
        batches.throw(KeyboardInterrupt)
    assert multiprocessing.active_children() == []
    assert kept.value.__traceback__ is not None


def test_workers_compute_with_one_thread_and_leave_ours_alone():
    before = torch.get_num_threads()
    batches = endless(plain_loader(_Threads(), batch_size=1, workers=1))
    assert next(batches).item() == 1
    batches.close()
    assert torch.get_num_threads() == before


class _Threads(torch.utils.data.Dataset):
    """Its one item is the number of threads of the process that reads it."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, _index: int) -> int:
        return torch.get_num_threads()
