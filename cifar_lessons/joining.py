"""How the processes that torchrun started find each other, and what they say when they don't.

torchrun starts them on one machine or on several, says in the environment which is which, and
starts all of them again when one dies. They meet at a store of keys and values that the machine of
rank 0 serves. Source: PyTorch's documentation of `torchrun` and `torch.distributed.elastic`.
"""

import contextlib
import datetime
import os
import socket
import time
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.errors import RankLost, UserError

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

WAIT = 300.0  # seconds for the others, at the start and whenever something is exchanged
LONGEST = 86_400  # seconds that anybody waits for another process: a day
ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
LAUNCH = "`torchrun --nproc-per-node 2 -m cifar_lessons train RECIPE`"
MEND = (
    "see that torchrun runs on every machine with the same --nnodes and --rdzv-endpoint, and that "
    "they reach each other; --wait SECONDS gives a slow start more time"
)


@contextlib.contextmanager
def joined(wait: float = WAIT) -> Iterator[Group]:
    """Join the processes that torchrun started, for as long as the block lasts.

    Args:
        wait: Seconds after which a process that is waited for counts as lost.

    Raises:
        UserError: The environment is incomplete, or another process did not come.
        RankLost: Another process went away within the block.
    """
    if not 0 < wait <= LONGEST:  # so that NaN is refused too
        raise UserError(f"--wait must be in (0, {LONGEST}], got {wait:g}; try --wait {WAIT:g}")
    group = _environment()
    if group.size == 1:
        yield group
        return
    import torch.distributed as dist

    _join(group, wait)
    try:
        yield group
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise RankLost(
                f"rank {group.rank} has lost another process ({_reason(error)}), whose message "
                "stands above if it left one; what was saved is intact, and the same command, or "
                "torchrun by itself with --max-restarts, goes on from there"
            ) from None
        raise
    finally:
        dist.destroy_process_group()


def _environment() -> Group:
    """Return what torchrun says about this process."""
    if not ("RANK" in os.environ or "WORLD_SIZE" in os.environ):
        return ALONE
    missing = [name for name in ENVIRONMENT if name not in os.environ]
    if missing:
        there = next(name for name in ENVIRONMENT if name in os.environ)
        raise UserError(
            f"torchrun's environment is incomplete: {there} is set, {', '.join(missing)} not; "
            f"start with {LAUNCH}, or unset {there} to train in one process"
        )
    try:
        rank, size, local, _ = (
            int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
        )
        if not (0 <= rank < size and local >= 0):
            raise ValueError
    except ValueError:
        found = " ".join(f"{name}={os.environ[name]}" for name in ENVIRONMENT)
        raise UserError(f"{found} makes no sense; start with {LAUNCH}") from None
    return Group(rank=rank, size=size, local_rank=local)


def _join(group: Group, wait: float) -> None:
    """Meet the other processes, and connect to them."""
    import torch
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    timeout = datetime.timedelta(seconds=wait)
    if not group.leader:
        _await_port(group, wait)
    try:
        store, *_ = next(rendezvous("env://", timeout=timeout))
        meeting = _meet(store, group, wait)
        gpus = torch.cuda.is_available() and dist.is_nccl_available()
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpus else "gloo",
            store=PrefixStore(meeting, store),
            rank=group.rank,
            world_size=group.size,
            timeout=timeout,
        )
    except RuntimeError as error:
        raise UserError(
            f"rank {group.rank} of {group.size} cannot connect to the others ({_reason(error)}); "
            f"{MEND}"
        ) from None


def _await_port(group: Group, wait: float) -> None:
    """Return once something answers at rank 0's address.

    PyTorch's own client fills the screen with C++ stacks while it waits.
    """
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    end, reason = time.monotonic() + wait, "no answer"
    while (left := end - time.monotonic()) > 0:
        try:
            socket.create_connection((address, port), timeout=max(left, 0.1)).close()
            return
        except OSError as error:
            reason = error.strerror or str(error)
            time.sleep(min(0.2, left))
    raise UserError(
        f"rank {group.rank} of {group.size} found nobody at {address}:{port} within {wait:g} s "
        f"({reason}); {MEND}"
    )


def _meet(store: "Store", group: Group, wait: float) -> str:
    """Return the name of this meeting, once all ranks have come to it.

    torchrun keeps its store over restarts, with all that the dead have written into it, and an old
    address there looks like a new one. So each rank says a new word, rank 0 answers it with the
    name of today's meeting, and only who has heard that name can say that it is here.
    """
    word = uuid.uuid4().hex
    name = word if group.leader else ""
    store.set(f"word/{group.rank}", word)
    answered: dict[int, bytes] = {}
    end, missing = time.monotonic() + wait, set(range(group.size))
    while missing and time.monotonic() < end:
        if group.leader:
            _answer(store, missing - {0}, name, answered)
        elif not name and store.check([f"answer/{word}"]):
            name = store.get(f"answer/{word}").decode()
        if name:
            store.set(f"here/{name}/{group.rank}", "")
            missing = {rank for rank in missing if not store.check([f"here/{name}/{rank}"])}
        if missing:
            time.sleep(0.01)
    if missing:
        absent = sorted(missing) if name else [0]
        which = f"rank{'s' * (len(absent) > 1)} {', '.join(map(str, absent))}"
        raise UserError(f"{which} of {group.size} did not come within {wait:g} s; {MEND}")
    return name


def _answer(store: "Store", ranks: set[int], name: str, answered: dict[int, bytes]) -> None:
    """Give the name of the meeting to each rank that has said a word not answered yet."""
    for rank in ranks:
        if store.check([f"word/{rank}"]):
            word = store.get(f"word/{rank}")
            if answered.get(rank) != word:
                store.set(f"answer/{word.decode()}", name)
                answered[rank] = word


def _reason(error: Exception) -> str:
    """Return the part of PyTorch's message that tells something, in one line."""
    text = str(error).partition("\n")[0].partition(". This is typically")[0]
    return text.rpartition("] ")[2]
