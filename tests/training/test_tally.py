"""Mirrors cifar_lessons/training/tally.py."""

from typing import Any

import pytest
import torch

from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.training.tally import Tally


class Three(Group):
    """One of three ranks, whose exchanges are rehearsed."""

    def gather(self, value: Any) -> list[Any]:
        return [({"loss": 1.0}, 1), ({"loss": 20.0}, 10), ({"loss": 300.0}, 100)]


def metrics(loss: float, accuracy: float) -> dict[str, torch.Tensor]:
    return {"loss": torch.tensor(loss), "accuracy": torch.tensor(accuracy)}


def test_means_weigh_every_image_alike():
    """A mean of batch means would give 2.0: the last batch is short."""
    tally = Tally()
    tally.add(metrics(1.0, 0.5), 30)
    tally.add(metrics(3.0, 1.0), 10)
    assert tally.means(ALONE) == {"loss": 1.5, "accuracy": pytest.approx(0.625)}


def test_a_checkpoint_keeps_what_every_rank_has_seen():
    tally = Tally()
    tally.add(metrics(1.0, 0.5), 1)
    state = tally.state(Three(rank=0, size=3))
    assert state == {
        "sums": {"loss": 1.0, "accuracy": 0.5},
        "images_seen": 1,
        "others": [({"loss": 20.0}, 10), ({"loss": 300.0}, 100)],
    }


@pytest.mark.parametrize(
    ("group", "sums", "images"),
    [
        (Group(rank=0, size=3), 1.0, 1),
        (Group(rank=2, size=3), 300.0, 100),
        # Resumed by fewer or more processes: nothing is lost and nothing counted twice.
        (ALONE, 321.0, 111),
        (Group(rank=0, size=2), 321.0, 111),
        (Group(rank=1, size=2), 0.0, 0),
        (Group(rank=3, size=4), 0.0, 0),
    ],
)
def test_each_rank_takes_its_part_back(group, sums, images):
    others = [({"loss": 20.0}, 10), ({"loss": 300.0}, 100)]
    tally = Tally()
    tally.load({"sums": {"loss": 1.0}, "images_seen": 1, "others": others}, group)
    assert (tally.sums, tally.images) == ({"loss": sums}, images)


def test_a_checkpoint_of_the_time_of_one_process_is_read():
    tally = Tally()
    tally.load({"sums": {"loss": 2.0}, "images_seen": 4}, ALONE)
    assert tally.means(ALONE) == {"loss": 0.5}
