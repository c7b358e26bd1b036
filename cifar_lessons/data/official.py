"""The official archives: what they are called, how they are known to be right, how to unpack one.

File names, URL and md5s are those of `torchvision.datasets.CIFAR10` and `CIFAR100`. Nothing here
unpickles: an archive is unpacked only after its md5 is right, and a file is put in place only
after its own md5 is right.
"""

import gzip
import hashlib
import os
import shlex
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cifar_lessons.data.digest import CONTENT_DIGESTS
from cifar_lessons.data.disk import explained
from cifar_lessons.errors import suggest

CIFAR10_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100_CLASSES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
    crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
    keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse
    mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
    porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
    snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
    tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""


class SourceError(Exception):
    """Why one source did not serve; the next one may."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One data set as it is published, and how each form of it is recognised."""

    name: str
    url: str
    filename: str  # of the archive
    size: int  # of the archive, bytes
    md5: str  # of the archive
    folder: str  # that it unpacks to
    files: tuple[tuple[str, str], ...]  # (name, md5) of what is inside: train, test, meta
    classes: tuple[str, ...]  # in label order
    counts: Mapping[str, int]  # images in "train" and "test"
    digests: Mapping[str, str]  # content digests of "train" and "test"
    parquet_folder: str  # where the parquet files lie in the Hugging Face repository
    label_column: str  # their column of labels


def official(name: str) -> Archive:
    """Return the published archive of `cifar10` or `cifar100`; this imports torchvision.

    Raises:
        ValueError: Another name.
    """
    if name not in CONTENT_DIGESTS:
        raise ValueError(f"no data set {name!r}: {suggest(name, CONTENT_DIGESTS)}")
    from torchvision import datasets

    ten = name == "cifar10"
    source = datasets.CIFAR10 if ten else datasets.CIFAR100
    files = [*source.train_list, *source.test_list]
    return Archive(
        name=name,
        url=source.url,
        filename=source.filename,
        size=170_498_071 if ten else 169_001_437,  # torchvision has none; the server declares it
        md5=source.tgz_md5,
        folder=source.base_folder,
        files=(
            *((file, md5) for file, md5 in files),
            (source.meta["filename"], source.meta["md5"]),
        ),
        classes=tuple((CIFAR10_CLASSES if ten else CIFAR100_CLASSES).split()),
        counts={"train": 50_000, "test": 10_000},
        digests=CONTENT_DIGESTS[name],
        parquet_folder="plain_text" if ten else "cifar100",
        label_column="label" if ten else "fine_label",
    )


def fetch_command(name: str, root: Path) -> str:
    """Return what to type for a data set below `root`, as a shell takes it."""
    return f"cifar-lessons data --dataset {name} --data {shlex.quote(str(root))}"


def md5_of(path: Path) -> str:
    """Return the hex md5 of a file, read in parts."""
    with path.open("rb") as file:
        # Not for security against forgery: the published checksums are md5s.
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def faults(archive: Archive, root: Path) -> list[str]:
    """Return what is wrong with the unpacked files below `root`, a phrase a file."""
    found = []
    for name, md5 in archive.files:
        path = root / archive.folder / name
        try:
            got = md5_of(path)
        except FileNotFoundError:
            found.append(f"{name} is missing")
        except OSError as error:
            found.append(f"{name} cannot be read ({error.strerror})")
        else:
            if got != md5:
                found.append(f"{name} has md5 {got}, expected {md5}")
    return found


def verify_archive(archive: Archive, path: Path) -> None:
    """Raise a `SourceError` unless the file at `path` is the published archive."""
    try:
        if not path.is_file():
            raise SourceError("no such file")
        size = path.stat().st_size
        if size != archive.size:
            raise SourceError(
                f"{size:,} bytes, expected {archive.size:,}: not {archive.filename} or not all"
            )
        got = md5_of(path)
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})") from error
    if got != archive.md5:
        raise SourceError(f"md5 {got}, expected {archive.md5}: not the official {archive.filename}")


def unpack(archive: Archive, path: Path, root: Path) -> Path:
    """Unpack a verified archive below `root` and return the folder with its files.

    Only the files that we know are taken, by name, into a folder beside; each goes to its final
    name when its md5 is right. No path, link or mode from the archive reaches the disk.

    Raises:
        SourceError: The archive is damaged, or lacks a file or holds another one in its place.
        UserError: The disk refuses.
    """
    verify_archive(archive, path)
    folder, fresh = root / archive.folder, root / f".{archive.folder}.unpacking"
    wanted = {f"{archive.folder}/{name}": (name, md5) for name, md5 in archive.files}
    with explained(folder):
        shutil.rmtree(fresh, ignore_errors=True)  # of a run that was killed here
        fresh.mkdir(parents=True)
        try:
            try:
                with tarfile.open(path, "r:gz") as tar:
                    for member in tar:
                        if member.isreg() and member.name in wanted:
                            name, md5 = wanted.pop(member.name)
                            _write_member(tar, member, fresh / name, md5)
            except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise SourceError(f"a damaged archive ({error})") from error
            if wanted:
                raise SourceError("an archive without " + ", ".join(sorted(wanted)))
            folder.mkdir(exist_ok=True)
            for name, _ in archive.files:
                os.replace(fresh / name, folder / name)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _write_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, md5: str) -> None:
    content = tar.extractfile(member)
    assert content is not None  # a regular file
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
    if (got := md5_of(target)) != md5:
        raise SourceError(f"an archive whose {target.name} has md5 {got}, expected {md5}")
