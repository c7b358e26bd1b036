"""The processes that train one network together: who is who, and what they tell each other.

torchrun starts them, on one machine or on several, and says in the environment which is which; a
process is called a rank. Without torchrun there is one, `ALONE`, and nothing here does anything.

What every rank must decide alike goes through a `Group`: a mistake on one ends all of them, and
rank 0 tells it. Tensors travel by gloo between CPUs and by NCCL between GPUs. torch is imported
where several processes need it, so that the command line answers a single one at once.
"""

import contextlib
import datetime
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cifar_lessons.errors import AlreadyTold, RankLost, UserError

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")
WAIT = 300.0  # seconds for the others, at the start and whenever something is exchanged
ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
LAUNCH = "`torchrun --nproc-per-node 2 -m cifar_lessons train RECIPE`"


@dataclass(frozen=True, kw_only=True)
class Group:
    """One process among those that work on the same run.

    Attributes:
        rank: This process, in [0, size). Rank 0 leads: it prints, writes and keeps the time.
        size: Of the group; 1 means alone.
        local_rank: This process among those of its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leader(self) -> bool:
        """Return whether this process speaks and writes for all."""
        return self.rank == 0

    def share(self, number: int) -> slice:
        """Return which of `number` things in a row are this rank's; all ranks' make up the whole.

        The shares differ by one at most, and nothing is padded.
        """
        start, stop = (number * r // self.size for r in (self.rank, self.rank + 1))
        return slice(start, stop)

    # --- Exchanges: every rank must call them, in the same order ---------------------------

    def gather(self, value: T) -> list[T]:
        """Return the values of all ranks, by rank."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def broadcast(self, value: T, *, source: int = 0) -> T:
        """Return what rank `source` gave as `value`."""
        if self.size == 1:
            return value
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=source)
        return box[0]

    def total(self, numbers: Sequence[float]) -> list[float]:
        """Return the sums over all ranks, in double precision."""
        if self.size == 1:
            return list(numbers)
        import torch
        import torch.distributed as dist

        sums = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(sums)
        found: list[float] = sums.tolist()
        return found

    def share_buffers(self, model: "nn.Module") -> None:
        """Give every rank the buffers of rank 0, such as the statistics of batch norm."""
        if self.size == 1:
            return
        import torch.distributed as dist

        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)

    # --- One answer, or one mistake, for all -----------------------------------------------

    def told(self, error: Exception) -> Exception:
        """Return an error that all ranks raise as this one raises it: only rank 0 tells it."""
        return error if self.leader else AlreadyTold(str(error))

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Do something on every rank; a `UserError` on any of them is raised on all."""
        if self.size == 1:
            yield
            return
        mistake: str | None = None
        try:
            yield
        except UserError as error:
            mistake = str(error)
        mistakes = self.gather(mistake)
        found = [rank for rank, text in enumerate(mistakes) if text is not None]
        if found:
            alike = len(found) == self.size and len(set(mistakes)) == 1
            where = "" if alike else f"rank {found[0]}: "
            raise self.told(UserError(f"{where}{mistakes[found[0]]}"))

    def from_leader(self, make: Callable[[], T]) -> T:
        """Call `make` on rank 0 and return what it gave on every rank, or raise its mistake."""
        if self.size == 1:
            return make()
        given: T | None = None
        with self.together():
            if self.leader:
                given = make()
        return self.broadcast(given)  # type: ignore[return-value] # rank 0's is no None

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Raise a `UserError` on every rank unless all have the same facts as rank 0."""
        first, *others = self.gather(dict(facts))
        for rank, found in enumerate(others, start=1):
            for key in dict.fromkeys([*first, *found]):
                ours, theirs = first.get(key, "not set"), found.get(key, "not set")
                if ours != theirs:
                    raise self.told(
                        UserError(
                            f"rank {rank} works on another {key}: {theirs!r}, on rank 0 {ours!r}; "
                            "give every machine the same command, the same commit and the same data"
                        )
                    )


ALONE = Group()


# --- Joining ----------------------------------------------------------------------------------


@contextlib.contextmanager
def joined(wait: float = WAIT) -> Iterator[Group]:
    """Join the processes that torchrun started, for as long as the block lasts.

    Args:
        wait: Seconds after which a process that is waited for counts as lost.

    Raises:
        UserError: The environment is incomplete, or another process did not come.
        RankLost: Another process went away within the block.
    """
    if not wait > 0:  # so that NaN is refused too
        raise UserError(f"--wait must be > 0, got {wait:g}; try --wait {WAIT:g}")
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
    from torch.distributed.rendezvous import rendezvous

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    where = f"to {address}:{port} within {wait:g} s"
    timeout = datetime.timedelta(seconds=wait)
    mend = (
        "see that torchrun runs on every machine with the same --nnodes and --rdzv-endpoint, and "
        "that they reach each other; --wait SECONDS gives a slow start more time"
    )
    if not group.leader:
        # PyTorch's own client would fill the screen with a C++ stack while it waits.
        _await_port(group, address, port, wait, mend)
    try:
        store, *_ = next(rendezvous("env://", timeout=timeout))
        names = [f"cifar-lessons/{rank}" for rank in range(group.size)]
        store.set(names[group.rank], socket.gethostname())
        with contextlib.suppress(dist.DistError):  # who is missing is asked below
            store.wait(names, timeout)
        missing = [str(rank) for rank, name in enumerate(names) if not store.check([name])]
        if missing:
            which = f"rank {missing[0]}" if len(missing) == 1 else f"ranks {', '.join(missing)}"
            raise UserError(f"{which} of {group.size} did not come {where}; {mend}")
        gpus = torch.cuda.is_available() and dist.is_nccl_available()
        backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
        dist.init_process_group(
            backend, store=store, rank=group.rank, world_size=group.size, timeout=timeout
        )
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"rank {group.rank} of {group.size}: the others did not come {where} "
            f"({_reason(error)}); {mend}"
        ) from None


def _await_port(group: Group, address: str, port: int, wait: float, mend: str) -> None:
    """Return once something answers at rank 0's address."""
    end, reason = time.monotonic() + wait, "no answer"
    while (left := end - time.monotonic()) > 0:
        try:
            socket.create_connection((address, port), timeout=max(left, 0.1)).close()
            return
        except OSError as error:
            reason = error.strerror or str(error)
            time.sleep(min(0.2, max(left, 0.0)))
    raise UserError(
        f"rank {group.rank} of {group.size} found nobody at {address}:{port} within {wait:g} s "
        f"({reason}); {mend}"
    )


def _reason(error: Exception) -> str:
    """Return the part of PyTorch's message that tells something, in one line."""
    text = str(error).partition("\n")[0].partition(". This is typically")[0]
    return text.rpartition("] ")[2] if text.startswith("[") else text
