"""The processes that train one network together: who is who, and what they tell each other.

A process is called a rank (`joining` finds out which). What all ranks must decide alike goes
through a `Group`: a mistake on one ends all of them, and rank 0 tells it. A process by itself is
`ALONE`, and nothing here does anything. torch is imported only where several processes need it.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cifar_lessons.errors import AlreadyTold, UserError

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")


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
