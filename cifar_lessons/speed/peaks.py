"""What this CPU can do at most: multiplications of matrices, and copies of a large array.

These two numbers are the roof of the roofline. Source: Williams, Waterman & Patterson (2009),
"Roofline: an insightful visual performance model", doi:10.1145/1498765.1498785.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

SIDE = 2_048  # of square matrices: large enough for the peak, small enough for seconds
ARRAY = 1 << 26  # float32 numbers in the array that is copied: 256 MiB, far beyond any cache
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """Compute with that many threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def best_time(work: Callable[[], object], seconds: float, *, least: int = 3) -> float:
    """Return the shortest time of a piece of work: a roof is what can be reached.

    Args:
        work: Called once untimed, then again and again.
        seconds: For all of it.
        least: Fewest timed calls.
    """
    work()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < least or time.perf_counter() - start < seconds:
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def matmul_rate(precision: str, *, threads: int, seconds: float, side: int = SIDE) -> float:
    """Return floating-point operations a second of the product of two square matrices.

    Args:
        precision: A key of `DTYPES`.
        threads: That it may use.
        seconds: To spend.
        side: Rows and columns.
    """
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.randn(side, side, generator=rng).to(DTYPES[precision]) for _ in range(2))
    out = torch.empty_like(a)
    with using_threads(threads):
        return 2 * side**3 / best_time(lambda: torch.mm(a, b, out=out), seconds)


def copy_rate(*, threads: int, seconds: float, numbers: int = ARRAY) -> float:
    """Return bytes a second of a copy of a large array, one read and one write for each byte.

    The cache may read what is written before it writes it, which is not counted.
    """
    source = torch.ones(numbers)
    target = torch.zeros(numbers)
    with using_threads(threads):
        return 2 * 4 * numbers / best_time(lambda: target.copy_(source), seconds)
