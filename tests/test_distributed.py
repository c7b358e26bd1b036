"""Mirrors cifar_lessons/distributed.py: what processes tell each other, or say alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.errors import AlreadyTold, UserError
from cifar_lessons.joining import joined

# --- shares -----------------------------------------------------------------------------------


@given(number=st.integers(0, 500), size=st.integers(1, 20))
def test_shares_make_up_the_whole_and_differ_by_one_at_most(number, size):
    things = list(range(number))
    parts = [things[Group(rank=rank, size=size).share(number)] for rank in range(size)]
    assert [thing for part in parts for thing in part] == things
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


# --- alone ------------------------------------------------------------------------------------


def test_alone_an_exchange_is_with_oneself():
    value, model = object(), nn.BatchNorm2d(2)
    assert ALONE.gather(value) == [value]
    assert ALONE.broadcast(value) is value
    assert ALONE.total([1.5, 2]) == [1.5, 2]
    assert ALONE.from_leader(lambda: value) is value
    ALONE.share_buffers(model)
    ALONE.agree({"seed": 1})


def test_alone_a_mistake_stays_what_it_is():
    mistake = UserError("what is wrong")
    assert ALONE.told(mistake) is mistake
    with pytest.raises(UserError) as error, ALONE.together():
        raise mistake
    assert error.value is mistake


# --- several processes --------------------------------------------------------------------------


def exchange() -> dict[str, Any]:
    """What a rank of three learns from the others."""
    with joined(60) as group:
        model = nn.BatchNorm2d(2)
        model.running_mean.fill_(group.rank + 1)
        group.share_buffers(model)
        return {
            "me": (group.rank, group.size, group.leader),
            "gather": group.gather({"rank": group.rank}),
            "broadcast": group.broadcast(f"by {group.rank}", source=2),
            "total": group.total([1.0, 0.1 * group.rank]),
            "leader": group.from_leader(lambda: f"made on {group.rank}"),
            "nothing": group.from_leader(lambda: None),
            "mean": model.running_mean.tolist(),
        }


def test_every_rank_learns_the_same(ranks):
    found = ranks.values(exchange, size=3)
    assert [rank.pop("me") for rank in found] == [(0, 3, True), (1, 3, False), (2, 3, False)]
    assert found[0] == found[1] == found[2]
    assert found[0] == {
        "gather": [{"rank": 0}, {"rank": 1}, {"rank": 2}],
        "broadcast": "by 2",
        "total": [3.0, pytest.approx(0.3, abs=1e-15)],  # in double precision
        "leader": "made on 0",
        "nothing": None,
        "mean": [1.0, 1.0],
    }


def mistakes() -> list[tuple[str, str]]:
    """The errors that a rank meets, one after the other; the group goes on working."""
    with joined(60) as group:
        facts = {"seed": 0, "data": "as everywhere"}

        def one_rank() -> None:
            with group.together():
                if group.rank == 1:
                    raise UserError("no data here")

        def every_rank() -> None:
            with group.together():
                raise UserError("a typing error")

        def leader() -> None:
            def fail() -> None:
                raise UserError("the disk is full")

            group.from_leader(fail)

        seen = []
        for way in (
            one_rank,
            every_rank,
            leader,
            lambda: group.agree({**facts, "seed": 7 * group.rank}),
            lambda: group.agree(facts if group.leader else {**facts, "width": 16}),
            lambda: group.agree(facts),
        ):
            try:
                way()
            except UserError as error:
                seen.append((type(error).__name__, str(error)))
        return seen


def test_a_mistake_on_one_rank_is_raised_on_all_and_told_by_rank_0(ranks):
    first, second = ranks.values(mistakes)
    mend = "; give every machine the same command, the same commit and the same data"
    assert [text for _, text in first] == [
        "rank 1: no data here",
        "a typing error",
        "rank 0: the disk is full",
        f"rank 1 works on another seed: 7, on rank 0 0{mend}",
        f"rank 1 works on another width: 16, on rank 0 'not set'{mend}",
    ]
    assert [text for _, text in second] == [text for _, text in first]
    assert {kind for kind, _ in first} == {UserError.__name__}
    assert {kind for kind, _ in second} == {AlreadyTold.__name__}
