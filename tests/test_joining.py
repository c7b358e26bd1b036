"""Mirrors cifar_lessons/joining.py: who comes, who does not, who goes, and what the others say."""

import os
import re
import signal
import threading
import time

import pytest
import torch

from cifar_lessons import joining
from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.errors import RankLost, UserError
from cifar_lessons.joining import ENVIRONMENT, joined

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


@pytest.mark.parametrize("wait", [0, -1.0, float("nan"), 1e15])
def test_nobody_waits_for_no_time_or_for_ever(environment, wait):
    environment({})
    with (
        pytest.raises(UserError, match=r"--wait must be in \(0, 86400\], got .*; try --wait 300"),
        joined(wait),
    ):
        pass


# --- several processes --------------------------------------------------------------------------


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
        ([0], r"rank 0 of 3 cannot connect to the others \(Timed out .* 1/3 clients joined"),
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
    assert re.match("ranks 1, 2 of 3 did not come within 1.5 s; see that torchrun", found.value)


def meet(store: torch.distributed.Store, ranks: list[int], *, wait: float) -> dict[int, str]:
    """What each of these ranks, a thread each, is told by a meeting of three."""
    told: dict[int, str] = {}

    def come_to(rank: int) -> None:
        try:
            told[rank] = joining._meet(store, Group(rank=rank, size=3), wait)
        except UserError as error:
            told[rank] = str(error)

    threads = [threading.Thread(target=come_to, args=(rank,)) for rank in ranks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def test_what_the_dead_have_left_in_the_store_is_no_meeting():
    """torchrun keeps its store when it starts all processes again."""
    store = torch.distributed.HashStore()
    names = []
    for _ in range(3):
        told = meet(store, [2, 1, 0], wait=60)
        assert len(set(told.values())) == 1
        names.append(told[0])
    assert len(set(names)) == 3
    for present, absent in (([0, 1], 2), ([1, 2], 0)):
        for text in meet(store, present, wait=0.5).values():
            assert text.startswith(f"rank {absent} of 3 did not come within 0.5 s; see that")


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
    monkeypatch.setattr(joining, "_join", lambda group, wait: None)
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
