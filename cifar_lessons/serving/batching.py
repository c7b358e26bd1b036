"""Single pictures in, batches to the engine, each answer back to whoever asked.

An engine is faster on a batch than on its pictures one by one. While it works on a batch, the next
pictures wait, and they are the next batch: under load batches form by themselves. Only a picture
that comes to an idle engine waits a moment for company.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]  # (32, 32, 3)
Shares = npt.NDArray[np.float32]  # (K,)


class Full(Exception):
    """As many wait as may wait, or nobody is taken any more."""


class Batcher:
    """Gathers pictures for an engine; all methods belong to one event loop.

    Attributes:
        limit: How many may be inside at once.
        inside: How many are, from the moment that they were let in.
        closing: Whether nobody is let in any more.
    """

    def __init__(
        self,
        engine: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]],
        *,
        most: int = 32,
        wait: float = 0.002,
        limit: int = 64,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Remember how to work; `start` begins.

        Args:
            engine: Maps pictures (B, 32, 32, 3) to probabilities (B, K); called in one thread.
            most: Largest B.
            wait: Seconds that an idle engine waits for company for a lone picture.
            limit: How many may be inside at once.
            on_batch: Called with B of each batch.
        """
        self.limit, self.inside, self.closing = limit, 0, False
        self._engine, self._most, self._wait, self._on_batch = engine, most, wait, on_batch
        self._waiting: deque[tuple[Picture, asyncio.Future[Shares]]] = deque()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work."""
        self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Let nobody in any more, answer all who are inside, and stop."""
        self.closing = True
        self._arrived.set()
        if self._task:
            await self._task
        self._thread.shutdown()

    @contextlib.contextmanager
    def seat(self) -> Iterator[None]:
        """Take one of the places inside, and give it back at the end.

        Raises:
            Full: All are taken, or it is closing.
        """
        if self.closing or self.inside >= self.limit:
            raise Full
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def answer(self, picture: Picture) -> Shares:
        """Return the probabilities of one picture, (K,).

        Raises:
            Exception: Whatever the engine raised for its batch.
        """
        future: asyncio.Future[Shares] = asyncio.get_running_loop().create_future()
        self._waiting.append((picture, future))
        self._arrived.set()
        return await future

    async def _work(self) -> None:
        loop, idle = asyncio.get_running_loop(), True
        while True:
            await self._arrived.wait()
            if idle and not self.closing and len(self._waiting) < self._most:
                await asyncio.sleep(self._wait)
            count = min(self._most, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            # Those who gave up are not answered.
            batch = [(picture, future) for picture, future in batch if not future.done()]
            if batch:
                self._on_batch(len(batch))
                pictures = np.stack([picture for picture, _ in batch])
                try:
                    found = await loop.run_in_executor(self._thread, self._engine, pictures)
                    if len(found) != len(batch):
                        raise ValueError(f"{len(batch)} pictures got {len(found)} answers")
                except Exception as error:  # it belongs to whoever asked
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(error)
                else:
                    for (_, future), shares in zip(batch, found, strict=True):
                        if not future.done():
                            future.set_result(shares)
            idle = not self._waiting
            if idle:
                if self.closing and not self.inside:
                    return
                self._arrived.clear()
                if self.closing:  # someone is inside and has not asked yet
                    await asyncio.sleep(0.01)
                    self._arrived.set()
