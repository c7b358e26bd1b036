"""Getting the data set: what is there, a mirror, or the official server, in this order.

Only the official archive gives the official order, which a recorded run needs. Mirrors with
parquet or PNG files are faster and give the same images in another order; see `unordered`.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cifar_lessons.data import unordered
from cifar_lessons.data.disk import explained
from cifar_lessons.data.download import Patience
from cifar_lessons.data.official import Archive, SourceError, faults, fetch_command, official
from cifar_lessons.data.progress import megabytes
from cifar_lessons.data.sources import Get, Sources
from cifar_lessons.errors import UserError


def fetch(
    name: str,
    root: Path,
    *,
    mirrors: Sequence[str] = (),
    progress: bool = True,
    official_order: bool = False,
) -> Path:
    """Return the folder of a verified data set, getting it first if it is not there.

    What is there and right is left alone: no network, no lock, nothing written. Otherwise the
    sources are tried in order: an archive that lies in `root`, `mirrors`, those of the
    environment variable CIFAR_LESSONS_MIRRORS (separated by commas or spaces), the official
    server. After a break or Ctrl-C the same call continues, also from another source.

    Args:
        name: `cifar10` or `cifar100`.
        root: Folder of the data; made if it is not there.
        mirrors: URLs or paths, as the table in `sources` says.
        progress: Whether to tell on standard error what happens.
        official_order: Whether a copy from parquet or PNG files does not count, and such mirrors
            are passed over.

    Returns:
        `<root>/cifar-10-batches-py` or `<root>/cifar-100-python` with the official files, or
        `<root>/cifar-10-unordered` or `<root>/cifar-100-unordered` (see `unordered`).

    Raises:
        ValueError: An unknown name.
        UserError: No source served, or the disk refuses; one line says what to type.
    """
    given = [*mirrors, *re.split(r"[,\s]+", os.environ.get("CIFAR_LESSONS_MIRRORS", ""))]
    return fetch_archive(
        official(name),
        Path(root),
        mirrors=[mirror for mirror in given if mirror],
        progress=progress,
        official_order=official_order,
    )


def status(name: str, root: Path) -> str:
    """Return in a few words what `root` holds of `cifar10` or `cifar100`, verified.

    The first that holds of `complete, official order`, `unordered: …`, `damaged: …`,
    `partial download, 34 MB of 170 MB` and `absent`.
    """
    return archive_status(official(name), Path(root))


def archive_status(archive: Archive, root: Path) -> str:
    """Return the `status` of any archive."""
    wrong = faults(archive, root)
    if not wrong:
        return "complete, official order"
    if unordered.folder_of(archive, root).is_dir():
        try:
            unordered.read(archive, root)
            return "unordered: the right images in another order, so runs cannot be recorded"
        except SourceError as error:
            return f"damaged: {error}"
    if wrong != [f"{name} is missing" for name, _ in archive.files]:
        return f"damaged: {', '.join(wrong)}"
    part = root / (archive.filename + ".part")
    if part.is_file():
        return f"partial download, {megabytes(part.stat().st_size)} of {megabytes(archive.size)}"
    parquet = [p.stat().st_size for p in root.glob(f"{archive.name}-*.parquet.part")]
    if parquet:
        return f"partial download, {megabytes(sum(parquet))} of parquet files"
    return "absent"


def fetch_archive(
    archive: Archive,
    root: Path,
    *,
    mirrors: Sequence[str] = (),
    progress: bool = True,
    official_order: bool = False,
    patience: Patience | None = None,
) -> Path:
    """Do what `fetch` says for any archive; tests pass made-up ones, and little patience."""

    def say(line: str) -> None:
        if progress:
            print(line, file=sys.stderr, flush=True)

    def there() -> Path | None:
        if not faults(archive, root):
            return root / archive.folder
        folder = unordered.folder_of(archive, root)
        if not official_order and folder.is_dir():
            try:
                unordered.read(archive, root)
                return folder
            except SourceError as error:
                say(f"{error}; getting it anew")
        return None

    if (found := there()) is not None:
        return found
    sources = Sources(
        archive=archive,
        root=root,
        say=say,
        shown=progress,
        official_order=official_order,
        patience=patience,
    )
    planned: list[tuple[str, Get]] = [(mirror, sources.named(mirror)) for mirror in mirrors]
    planned.append((archive.url, sources.from_official))
    with explained(root):
        root.mkdir(parents=True, exist_ok=True)
    with _alone(root / f".{archive.name}.lock", archive.name, say):
        if (found := there()) is not None:  # another process was faster
            return found
        if sources.kept.exists():
            planned.insert(0, (str(sources.kept), sources.from_kept))
        reasons = []
        for source, get in planned:
            try:
                folder = get()
            except SourceError as error:
                reasons.append(f"{source}: {error}")
                say(reasons[-1])
            else:
                say(f"{archive.name} is in {folder}, verified")
                return folder
    command = fetch_command(archive.name, root)
    raise UserError(
        f"no source gave {archive.name}: {'; '.join(reasons)}. Run `{command} --mirror URL` with "
        f"another, or put {archive.filename} (md5 {archive.md5}) into {root} and run `{command}`"
    )


@contextmanager
def _alone(path: Path, name: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a data set's lock; wait, and say so, while another process has it."""
    import filelock

    with explained(path):
        path.touch()  # a folder that can't be written must not look like a lock that is held
        lock = filelock.FileLock(path)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            say(f"another process is getting {name}; waiting for it")
            lock.acquire(poll_interval=0.5)
    try:
        yield
    finally:
        lock.release()
