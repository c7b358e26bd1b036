"""Mirrors cifar_lessons/serving/batching.py: everybody gets the own answer, in few batches."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from cifar_lessons.serving.batching import Batcher, Full


def numbered(k: int) -> np.ndarray:
    return np.full((32, 32, 3), k, np.uint8)


def in_a_loop(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run in a thread of its own: a browser of other tests may hold a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(main())).result()


def echo(pictures: np.ndarray) -> np.ndarray:
    """Each picture's own number."""
    return pictures[:, 0, 0, :1].astype(np.float32)


def test_all_are_answered_each_with_its_own_and_batches_keep_their_size():
    sizes: list[int] = []

    async def main() -> list[float]:
        batcher = Batcher(echo, most=8, limit=100, on_batch=sizes.append)
        batcher.start()
        found = await asyncio.gather(*(batcher.answer(numbered(k)) for k in range(100)))
        await batcher.close()
        return [float(shares[0]) for shares in found]

    assert in_a_loop(main) == list(range(100))
    assert sum(sizes) == 100
    assert max(sizes) == 8
    assert len(sizes) <= 14  # 13 would do


def test_what_comes_while_the_engine_works_is_one_batch():
    sizes: list[int] = []
    go = threading.Event()

    def slow(pictures: np.ndarray) -> np.ndarray:
        go.wait(30)
        return echo(pictures)

    async def main() -> None:
        batcher = Batcher(slow, most=8, wait=0, limit=100, on_batch=sizes.append)
        batcher.start()
        first = asyncio.create_task(batcher.answer(numbered(0)))
        while not sizes:
            await asyncio.sleep(0)
        rest = [asyncio.create_task(batcher.answer(numbered(k))) for k in range(5)]
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, *rest)
        await batcher.close()

    in_a_loop(main)
    assert sizes == [1, 5]


def test_an_error_of_the_engine_reaches_those_of_its_batch_and_nobody_else():
    def moody(pictures: np.ndarray) -> np.ndarray:
        if pictures.max() == 13:
            raise ArithmeticError("not this one")
        return echo(pictures)

    async def main() -> None:
        batcher = Batcher(moody, most=1, limit=10)
        batcher.start()
        bad, good = await asyncio.gather(
            batcher.answer(numbered(13)), batcher.answer(numbered(7)), return_exceptions=True
        )
        assert isinstance(bad, ArithmeticError)
        assert good[0] == 7
        await batcher.close()

    in_a_loop(main)


def test_who_gives_up_takes_no_place_in_a_batch():
    sizes: list[int] = []

    async def main() -> None:
        batcher = Batcher(echo, most=8, wait=0.05, limit=10, on_batch=sizes.append)
        batcher.start()
        gone = asyncio.create_task(batcher.answer(numbered(1)))
        here = asyncio.create_task(batcher.answer(numbered(2)))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await here)[0] == 2
        await batcher.close()

    in_a_loop(main)
    assert sizes == [1]


def test_no_more_are_let_in_than_there_are_places_and_places_are_given_back():
    async def main() -> None:
        batcher = Batcher(echo, limit=2)
        with batcher.seat(), batcher.seat():
            with pytest.raises(Full), batcher.seat():
                pass
            assert batcher.inside == 2
        with batcher.seat():
            assert batcher.inside == 1
        with pytest.raises(ZeroDivisionError), batcher.seat():
            raise ZeroDivisionError
        assert batcher.inside == 0

    in_a_loop(main)


def test_closing_answers_all_who_are_inside_and_lets_nobody_in():
    async def main() -> None:
        batcher = Batcher(echo, limit=10)
        batcher.start()

        async def slow_to_ask() -> float:
            with batcher.seat():
                await asyncio.sleep(0.1)  # still uploading when it closes
                return float((await batcher.answer(numbered(9)))[0])

        inside = asyncio.create_task(slow_to_ask())
        await asyncio.sleep(0)
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(Full), batcher.seat():
            pass
        assert await inside == 9
        await asyncio.wait_for(closing, 10)

    in_a_loop(main)
