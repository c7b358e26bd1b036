"""Mirrors cifar_lessons/training/teacher.py."""

import threading
import time

import filelock
import pytest
import torch
from torch import nn

from cifar_lessons.config import AugmentConfig, DataConfig
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.loader import TrainLoader
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import Runtime
from cifar_lessons.training.teacher import Teacher

N = 30
FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
VIEWS = DataConfig(augment=AugmentConfig(crop_padding=4, flip="random", seed=5))


class Counted(nn.Module):
    """A linear teacher with batch norm and dropout, which must be off, that counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.BatchNorm2d(3), nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * 32 * 32, 10)
        )
        self.asked = 0

    def forward(self, x):
        self.asked += len(x)
        return self.net(x)


@pytest.fixture
def split() -> Split:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (N, 3, 32, 32), dtype=torch.uint8, generator=rng)
    return Split(images, torch.arange(N) % 10, torch.arange(N))


def teacher(split, cache=None, *, model=None, views=VIEWS, seed=0, weights="a") -> Teacher:
    return Teacher(
        model or Counted(),
        split,
        views,
        name="big seed0",
        weights=weights,
        seed=seed,
        runtime=FP32,
        cache=cache,
    )


def test_a_student_gets_the_answer_to_the_very_view_that_it_sees(split):
    """Whatever the student's own seed and batch size: here both differ from the teacher's."""
    model = Counted().eval()
    loader = TrainLoader(split, VIEWS, batch_size=7, seed=9, teacher=teacher(split, model=model))
    for epoch in (0, 2):
        for batch in loader.epoch(epoch, skip=1):
            assert batch.teacher is not None
            expected = model(batch.images).detach()
            torch.testing.assert_close(batch.teacher.float(), expected, rtol=2e-3, atol=2e-3)


def test_views_differ_from_epoch_to_epoch_and_so_do_answers(split):
    asked = teacher(split)
    assert not torch.equal(asked(0), asked(1))


def test_what_is_kept_is_not_asked_again(split, tmp_path):
    first, again = Counted(), Counted()
    assert teacher(split, tmp_path, model=first).prepare(3, progress=False)
    assert first.asked == 3 * N
    second = teacher(split, tmp_path, model=again)
    assert second.missing(4) == [3]
    assert torch.equal(second(1), teacher(split)(1))
    assert again.asked == 0


@pytest.mark.parametrize("damage", [b"", b"no array", None])
def test_a_damaged_file_is_asked_for_again(split, tmp_path, damage):
    whole = teacher(split, tmp_path)
    whole.prepare(1, progress=False)
    [file] = whole.folder.glob("*.npy")
    before = whole(0)
    file.write_bytes(file.read_bytes()[:-7] if damage is None else damage)
    assert whole.missing(1) == [0]
    whole.prepare(1, progress=False)
    assert torch.equal(whole(0), before)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "b"},
        {"views": DataConfig(augment=AugmentConfig(crop_padding=4, flip="random", seed=6))},
        {"views": DataConfig(augment=VIEWS.augment, mean=(0.5, 0.5, 0.5))},
    ],
)
def test_other_weights_views_or_pixels_have_answers_of_their_own(split, change):
    assert teacher(split, **change).digest != teacher(split).digest


def test_the_runs_seed_counts_only_where_the_views_have_none(split):
    own = DataConfig(augment=AugmentConfig(flip="random"))
    assert teacher(split, seed=1).digest == teacher(split, seed=2).digest
    assert teacher(split, views=own, seed=1).digest != teacher(split, views=own, seed=2).digest


def test_a_deadline_stops_it_and_the_same_call_goes_on(split, tmp_path):
    slow = teacher(split, tmp_path)
    assert not slow.prepare(2, deadline=time.monotonic() - 1, progress=False)
    assert slow.missing(2) == [0, 1]
    assert slow.prepare(2, deadline=time.monotonic() + 60, progress=False)
    assert slow.missing(2) == []


def test_an_epoch_that_another_process_asks_about_is_left_to_it(split, tmp_path):
    model, other = Counted(), teacher(split, tmp_path)
    mine = teacher(split, tmp_path, model=model)
    assert mine.folder is not None
    mine.folder.mkdir(parents=True)
    lock = filelock.FileLock(mine.folder / "epoch000.lock", thread_local=False)
    lock.acquire()

    def finish() -> None:
        while mine.missing(2) != [0]:  # the free epoch comes first
            time.sleep(0.01)
        other._keep(0, other._ask(0))
        lock.release()

    thread = threading.Thread(target=finish)
    thread.start()
    assert mine.prepare(2, progress=False)
    thread.join()
    assert model.asked == N  # epoch 1 alone


def test_a_folder_that_cannot_be_written_is_one_line(split, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        teacher(split, tmp_path / "file").prepare(1, progress=False)


def test_it_says_where_it_is(split, tmp_path, capsys):
    teacher(split, tmp_path).prepare(2)
    assert capsys.readouterr().out.splitlines() == [
        "big seed0 has answered for epoch 1/2",
        "big seed0 has answered for epoch 2/2",
    ]


def test_a_network_left_in_training_mode_answers_as_in_evaluation(split):
    model = Counted()
    asked = teacher(split, model=model)
    before = asked(0)
    model.train()
    assert not torch.equal(model(torch.randn(5, 3, 32, 32)), model(torch.randn(5, 3, 32, 32)))
    model.load_state_dict(Counted().state_dict())  # batch norm learned from the line above
    again = teacher(split, model=model)
    model.train()
    assert torch.equal(again(0), before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": DataConfig(augment=AugmentConfig(flip="random", seed=5))}, "other views than"),
        ({"data": DataConfig(augment=AugmentConfig(crop_padding=4, flip="random"))}, "other views"),
        ({"split": slice(0, 20)}, "other images than the student sees"),
    ],
)
def test_a_student_that_sees_something_else_is_refused(split, change, words):
    asked = teacher(split)
    asked.require_views(split, VIEWS, seed=9)  # the views have a seed of their own
    images = split[change.get("split", slice(None))]
    with pytest.raises(ValueError, match=words):
        asked.require_views(images, change.get("data", VIEWS), seed=9)
