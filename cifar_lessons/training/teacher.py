"""What a teacher says about every view that its students will see, computed once and kept.

Augmentation depends on (seed, epoch, image) alone, so a teacher can answer before its students
are trained: 50,000 images x 10 classes in float16 are 1 MB an epoch. All students of one
`data.augment.seed` then see the same views with the same answers, which pairs their comparison,
and none of them pays for the teacher's forward passes.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cifar_lessons.atomic import require_writable, write_atomically
from cifar_lessons.config import DataConfig
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.loader import TrainLoader
from cifar_lessons.runtime import Runtime
from cifar_lessons.training.checkpoint import stop_on_signal

BATCH = 500  # images at once
LIMIT = float(torch.finfo(torch.float16).max)


class Teacher:
    """A trained network and its answers, by epoch; call it with an epoch to get them.

    Attributes:
        name: What answers, for messages.
        digest: Of the network and of all that decides what it sees; the folder's name.
    """

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        data: DataConfig,
        *,
        name: str,
        weights: str,
        seed: int,
        runtime: Runtime,
        cache: Path | None = None,
    ) -> None:
        """Prepare to ask; nothing is computed yet.

        Args:
            model: On the runtime's device; set to evaluation mode whenever it is asked.
            split: The N training images of the students, in their order.
            data: The students' augmentation, with the teacher's own mean and std.
            name: Of the teacher.
            weights: sha256 of the weights, or another name that no other weights have.
            seed: Of the students' run; `data.augment.seed` goes before it.
            runtime: Device and precision of the forward passes.
            cache: Folder in which a folder `digest` keeps the answers; None keeps them in memory.
        """
        self.name = name
        self.weights = weights
        self._model = model
        self._loader = TrainLoader(split, data, batch_size=BATCH, seed=seed, device=runtime.device)
        self._runtime = runtime
        self._views = _views(split, data, seed)
        facts = {
            "weights": weights,
            "precision": runtime.precision,
            "pixels": hashlib.sha256(split.images.numpy().tobytes()).hexdigest(),
            **self._views,
            "mean and std": [data.mean, data.std],
        }
        text = json.dumps(facts, sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.folder = cache / self.digest[:16] if cache else None
        self._kept: dict[int, Tensor] = {}

    def __call__(self, epoch: int) -> Tensor:
        """Return the logits for the views of one epoch, (N, K) float16, in the split's order.

        They are computed now if `prepare` has not done so before.
        """
        found = self._read(epoch)
        if found is None:
            found = self._ask(epoch)
            assert found is not None  # nothing could stop it
            self._keep(epoch, found)
        return found

    def require_views(self, split: Split, data: DataConfig, *, seed: int) -> None:
        """Raise unless a student of this split, augmentation and seed sees what it answers for.

        The answers would have the right shape and belong to other pictures, which no loss notices.

        Raises:
            ValueError: They are other views.
        """
        seen = _views(split, data, seed)
        other = [name for name, value in self._views.items() if seen[name] != value]
        if other:
            raise ValueError(
                f"{self.name} answers for other {' and '.join(other)} than the student sees; build "
                "the teacher from the student's own split, augmentation and seed"
            )

    def missing(self, epochs: int) -> list[int]:
        """Return which of the first epochs have no answers yet."""
        return [epoch for epoch in range(epochs) if self._read(epoch) is None]

    def prepare(self, epochs: int, *, deadline: float | None = None, progress: bool = True) -> bool:
        """Ask about all views of all epochs; what is kept already is not asked again.

        Several processes may do so at once: each takes the next epoch that no other has taken.

        Args:
            epochs: Of the students' run.
            deadline: `time.monotonic()` after which to stop.
            progress: Show a bar on a terminal, or print a line an epoch elsewhere.

        Returns:
            False where the deadline, SIGTERM or Ctrl-C came first; the same call goes on.

        Raises:
            UserError: The folder cannot be written.
        """
        if self.folder:
            require_writable(self.folder)
        left = self.missing(epochs)
        with stop_on_signal() as request, self._bar(len(left), progress) as bar:

            def stop() -> bool:
                late = deadline is not None and time.monotonic() > deadline
                return late or request.signal is not None

            while left:
                for epoch in list(left):
                    if stop():
                        return False
                    with self._alone(epoch) as mine:
                        if not mine:
                            continue
                        if self._read(epoch) is None:
                            found = self._ask(epoch, bar, stop)
                            if found is None:
                                return False
                            self._keep(epoch, found)
                    left.remove(epoch)
                    if progress and bar.disable:
                        print(
                            f"{self.name} has answered for epoch {epoch + 1}/{epochs}", flush=True
                        )
                if left:
                    time.sleep(1.0)  # others are at work on what is left
        return True

    # --- Asking -----------------------------------------------------------------------------

    @torch.inference_mode()
    def _ask(
        self, epoch: int, bar: "tqdm[None] | None" = None, stop: Callable[[], bool] | None = None
    ) -> Tensor | None:
        """Return the answers for an epoch, or None where `stop` says so."""
        rows = []
        self._model.eval()  # whoever trained or probed it since may have left it in training mode
        for batch in self._loader.in_order(epoch, batch_size=BATCH):
            if stop and stop():
                return None
            with self._runtime.autocast():
                logits = self._model(batch.images)
            rows.append(logits.float().clamp(-LIMIT, LIMIT).half().cpu())
            if bar is not None:
                bar.update(len(batch))
        return torch.cat(rows)

    def _bar(self, epochs: int, progress: bool) -> "tqdm[None]":
        """Return a bar over images, silent unless on a terminal."""
        return tqdm(
            total=epochs * len(self._loader.split),
            unit="image",
            unit_scale=True,
            desc=self.name,
            dynamic_ncols=True,
            disable=not (progress and sys.stderr.isatty()),
        )

    # --- Keeping ----------------------------------------------------------------------------

    def _path(self, epoch: int) -> Path | None:
        """Return the file of an epoch, where answers are kept in files."""
        return self.folder / f"epoch{epoch:03d}.npy" if self.folder else None

    def _keep(self, epoch: int, answers: Tensor) -> None:
        """Keep the answers for an epoch."""
        path = self._path(epoch)
        if path is None:
            self._kept[epoch] = answers
            return
        content = io.BytesIO()
        np.save(content, answers.numpy(), allow_pickle=False)
        write_atomically(path, content.getvalue())

    def _read(self, epoch: int) -> Tensor | None:
        """Return kept answers; what is damaged or of another shape counts as absent."""
        path = self._path(epoch)
        if path is None:
            return self._kept.get(epoch)
        try:
            with path.open("rb") as file:
                found = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        rows = len(self._loader.split)
        if found.dtype != np.float16 or found.ndim != 2 or len(found) != rows:
            return None
        return torch.from_numpy(found) if np.isfinite(found).all() else None

    @contextlib.contextmanager
    def _alone(self, epoch: int) -> Iterator[bool]:
        """Yield whether this process, and no other, may ask about an epoch now."""
        path = self._path(epoch)
        if path is None:
            yield True
            return
        lock = filelock.FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


def _views(split: Split, data: DataConfig, seed: int) -> dict[str, Any]:
    """Return what decides which views of which images there are, ready for JSON."""
    effective = seed if data.augment.seed is None else data.augment.seed
    return {
        "images": hashlib.sha256(split.index.cpu().numpy().tobytes()).hexdigest(),
        "views": dataclasses.asdict(dataclasses.replace(data.augment, seed=effective)),
    }
