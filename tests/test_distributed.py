"""Mirrors cifar_lessons/distributed.py: what processes tell each other, or say alone."""

import os
import re
import signal
import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cifar_lessons import distributed
from cifar_lessons.distributed import ALONE, ENVIRONMENT, Group, joined
from cifar_lessons.errors import AlreadyTold, RankLost, UserError

# What torchrun would set; the tests below take parts of it away.
WHOLE = dict(zip(ENVIRONMENT, ("0", "2", "0", "127.0.0.1", "29500"), strict=True))


@pytest.fixture
def environment(monkeypatch):
    """Return a function that sets torchrun's variables to those given, and unsets the others."""

    def set_to(found: dict[str, str]) -> None:
        for name in ENVIRONMENT:
            monkeypatch.delenv(name, raising=False)
        for name, value in found.items():
            monkeypatch.setenv(name, value)

    return set_to


# --- shares -----------------------------------------------------------------------------------


@given(number=st.integers(0, 500), size=st.integers(1, 20))
def test_shares_make_up_the_whole_and_differ_by_one_at_most(number, size):
    things = list(range(number))
    parts = [things[Group(rank=rank, size=size).share(number)] for rank in range(size)]
    assert [thing for part in parts for thing in part] == things
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


# --- alone ------------------------------------------------------------------------------------


def test_without_torchrun_there_is_one_process(environment):
    environment({})
    with joined() as group:
        assert group == ALONE
        assert group.leader
    assert not torch.distributed.is_initialized()


def test_one_process_of_torchrun_is_alone_too(environment):
    environment({**WHOLE, "WORLD_SIZE": "1"})
    with joined() as group:
        assert group.size == 1
        assert not torch.distributed.is_initialized()


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


# --- an environment that makes no sense ---------------------------------------------------------


@pytest.mark.parametrize("missing", [name for name in ENVIRONMENT if name != "WORLD_SIZE"])
def test_an_incomplete_environment_is_told(environment, missing):
    environment({name: value for name, value in WHOLE.items() if name != missing})
    with pytest.raises(UserError) as error, joined():
        pass
    said = str(error.value)
    assert (
        f"torchrun's environment is incomplete: {'WORLD_SIZE' if missing == 'RANK' else 'RANK'}"
        in said
    )
    assert f" is set, {missing} not; start with `torchrun --nproc-per-node 2 -m " in said
    assert "or unset" in said


@pytest.mark.parametrize(
    "change", [{"RANK": "2"}, {"RANK": "-1"}, {"WORLD_SIZE": "two"}, {"MASTER_PORT": ""}]
)
def test_an_environment_that_makes_no_sense_is_told(environment, change):
    environment({**WHOLE, **change})
    name, value = next(iter(change.items()))
    with (
        pytest.raises(UserError, match=rf"{name}={value} ?.*makes no sense; start with"),
        joined(),
    ):
        pass


@pytest.mark.parametrize("wait", [0, -1.0, float("nan")])
def test_nobody_waits_for_no_time(environment, wait):
    environment({})
    with (
        pytest.raises(UserError, match=r"--wait must be > 0, got .*; try --wait 300"),
        joined(wait),
    ):
        pass


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


def come(wait: float) -> str:
    """Join, and return what one is told."""
    try:
        with joined(wait):
            return "joined"
    except UserError as error:
        return str(error)


@pytest.mark.parametrize(
    ("started", "told"),
    [
        # Rank 0 answers at the address, and the others don't come.
        ([0], r"rank 0 of 3: the others did not come to ADDRESS within 1.5 s \(.*1/3 clients"),
        # Nobody answers there.
        ([1], r"rank 1 of 3 found nobody at ADDRESS within 1.5 s \(Connection refused\)"),
    ],
)
def test_a_rank_that_never_comes_is_told(ranks, started, told):
    [found] = ranks(come, 1.5, size=3, ranks=started)
    assert found.status == 0
    assert re.match(told.replace("ADDRESS", r"127\.0\.0\.1:\d+"), found.value), found.value
    assert "the same --nnodes and --rdzv-endpoint" in found.value
    assert "--wait SECONDS" in found.value
    assert "\n" not in found.value
    assert found.err == ""


def meet_at_torchruns_store(wait: float) -> str:
    """Rank 0 of 3, where torchrun keeps the meeting place, as it does from one node on."""
    store = torch.distributed.TCPStore(
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=True
    )
    os.environ |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
    told = come(wait)
    del store
    return told


def test_at_torchruns_meeting_place_the_missing_ranks_are_named(ranks):
    [found] = ranks(meet_at_torchruns_store, 1.5, size=3, ranks=[0])
    assert re.match(r"ranks 1, 2 of 3 did not come to 127.0.0.1:\d+ within 1.5 s; see", found.value)


def lose_one(how: str) -> str:
    """Rank 1 goes away; the others say what they are told."""
    try:
        with joined(60) as group:
            group.total([0.0])
            if group.rank == 1:
                if how == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise ValueError("a bug on one rank")
            end = time.monotonic() + 60
            while time.monotonic() < end:
                group.total([0.0])
            return "nothing was noticed"
    except RankLost as error:
        return str(error)


@pytest.mark.parametrize(("how", "status"), [("killed", -signal.SIGKILL), ("failed", 1)])
def test_ranks_that_are_left_behind_say_so_in_one_line(ranks, how, status):
    first, second, third = ranks(lose_one, how, size=3)
    assert second.status == status
    for found in (first, third):
        assert found.status == 0, found
        assert re.match(r"rank [02] has lost another process \([^)]+\), whose", found.value)
        assert "--max-restarts" in found.value
        assert "\n" not in found.value


def test_an_error_that_is_not_about_the_others_stays_what_it_is(environment, monkeypatch):
    environment(WHOLE)
    monkeypatch.setattr(distributed, "_join", lambda group, wait: None)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    with pytest.raises(RuntimeError, match="shapes do not fit"), joined():
        raise RuntimeError("shapes do not fit")
    with (
        pytest.raises(RankLost, match=r"rank 0 has lost another process \(Connection closed"),
        joined(),
    ):
        raise RuntimeError(
            "[/gloo/pair.cc:5] Connection closed. This is typically caused by a\nbug"
        )
