"""What a mirror's name means, and how the data set is taken from each kind of source.

- `https://…/cifar-10-python.tar.gz`, `file://…` or a path: the official archive;
- `https://…/` (a slash at the end): the archive of that name in it, else parquet files;
- `https://huggingface.co/datasets/uoft-cs/cifar10`: the parquet files of the data set;
- `https://…/train-00000-of-00001.parquet`: this file and the one of the other split;
- a folder: the archive, `train*.parquet`, or `train/<class>/*.png` in it.
"""

import os
import re
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cifar_lessons.data import mirrors, unordered
from cifar_lessons.data.disk import explained, require_space
from cifar_lessons.data.download import Download, Patience
from cifar_lessons.data.official import Archive, SourceError, unpack, verify_archive
from cifar_lessons.data.progress import megabytes
from cifar_lessons.errors import UserError

PARQUET_LIMIT = 300_000_000  # bytes of one file; the real ones have 120 and 24 MB
Get = Callable[[], Path]


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Takes one data set into one folder; each `from_…` returns the folder of its files.

    They raise `SourceError` where this source does not serve, `UserError` where no other would.
    """

    archive: Archive
    root: Path
    say: Callable[[str], None]  # takes lines for the user
    shown: bool = True  # whether downloads show progress
    official_order: bool = False  # whether parquet and PNG files are passed over
    patience: Patience | None = None

    @property
    def kept(self) -> Path:
        """Where the archive is kept, so that a damaged file can be unpacked again."""
        return self.root / self.archive.filename

    @property
    def part(self) -> Path:
        """Where the archive gathers."""
        return self.root / (self.archive.filename + ".part")

    def named(self, mirror: str) -> Get:
        """Return what takes the data from a mirror; the table above says how it is named.

        Raises:
            UserError: It is neither a URL that we know nor a path.
        """
        scheme, colon, _ = mirror.partition("://")
        if not colon:
            return lambda: self.from_path(Path(mirror).expanduser())
        if scheme.lower() not in ("http", "https", "file"):
            raise UserError(
                f"mirror {mirror!r} starts with {scheme}://; "
                "give http://, https://, file:// or a path"
            )
        path = urllib.parse.urlsplit(mirror).path
        if scheme.lower() == "file":
            return lambda: self.from_path(Path(urllib.request.url2pathname(path)))
        if re.fullmatch(r"/datasets/[^/]+/[^/]+/?", path):
            folder = f"{mirror.rstrip('/')}/resolve/main/{self.archive.parquet_folder}/"
            return lambda: self.from_parquet_url(folder)
        if path.endswith(".parquet"):
            return lambda: self.from_parquet_url(mirror.rpartition("/")[0] + "/")
        if path.endswith("/"):
            return lambda: self.from_folder_url(mirror)
        return lambda: self.from_url(mirror)

    def from_kept(self) -> Path:
        """Unpack an archive that lies in `root`; one that is not whole becomes the `.part`."""
        try:
            return unpack(self.archive, self.kept, self.root)
        except SourceError as error:
            with explained(self.kept):
                if self.kept.stat().st_size < self.archive.size and not self.part.exists():
                    os.replace(self.kept, self.part)  # others download under the final name
                    raise SourceError(f"{error}; it will be continued") from error
                bad = self.kept.with_name(self.kept.name + ".bad")
                os.replace(self.kept, bad)
                raise SourceError(f"{error}; renamed to {bad.name}") from error

    def from_official(self) -> Path:
        """Download from the official server, and say beforehand how long that may take."""
        have = self.part.stat().st_size if self.part.exists() else 0
        here = f" ({megabytes(have)} of them are here already)" if have else ""
        self.say(
            f"getting {megabytes(self.archive.size)}{here} from "
            f"{urllib.parse.urlsplit(self.archive.url).hostname}: this may take 40-57 minutes "
            "(55-85 kB/s since June 2026). Ctrl-C and the same command continue later; "
            "the same command with `--mirror URL` may be faster, and continues too"
        )
        return self.from_url(self.archive.url)

    def from_url(self, url: str) -> Path:
        """Download the archive, check its md5, give it its name and unpack it."""
        while True:
            download = self._download(url, self.part, size=self.archive.size)
            have = self.part.stat().st_size if self.part.exists() else 0
            # What is unpacked is a tenth larger than the archive.
            require_space(self.root, int(2.15 * self.archive.size) - have)
            download.run()
            try:
                verify_archive(self.archive, self.part)
                break
            except SourceError as error:
                download.forget()
                if download.fresh:
                    raise
                # What an earlier run or another server gave may be the wrong part.
                self.say(f"{url}: {error}; part of it was here before, so beginning anew")
        with explained(self.kept):
            os.replace(self.part, self.kept)
        download.forget()
        return unpack(self.archive, self.kept, self.root)

    def from_folder_url(self, url: str) -> Path:
        """Get the archive from a folder on the web, or else the parquet files in it."""
        try:
            return self.from_url(url + self.archive.filename)
        except SourceError as error:
            try:
                return self.from_parquet_url(url)
            except SourceError as other:
                raise SourceError(f"{self.archive.filename}: {error}; {other}") from other

    def from_parquet_url(self, url: str) -> Path:
        """Download `train-00000-of-00001.parquet` and its twin, and keep what is in them."""
        self._other_order()
        mirrors.require_parquet_reader()
        require_space(self.root, 2 * 3073 * sum(self.archive.counts.values()))
        splits, downloads = {}, []
        for split in mirrors.SPLITS:
            name = f"{split}-00000-of-00001.parquet"
            part = self.root / f"{self.archive.name}-{split}.parquet.part"
            download = self._download(url + name, part, limit=PARQUET_LIMIT)
            downloads.append(download)
            try:
                download.run()
            except SourceError as error:
                raise SourceError(f"{name}: {error}") from error
            try:
                splits[split] = mirrors.read_parquet(self.archive, split, [part])
            except SourceError:
                download.forget()
                raise
        try:
            return unordered.write(self.archive, self.root, splits)
        finally:  # right or wrong, the files have served
            for download in downloads:
                download.forget()

    def from_path(self, path: Path) -> Path:
        """Take the archive, the parquet files or the PNG files that lie at a path."""
        if path.is_file() and path.suffix != ".parquet":
            return unpack(self.archive, path, self.root)
        folder = path.parent if path.is_file() else path
        if not folder.is_dir():
            raise SourceError("no such file or folder")
        if (folder / self.archive.filename).is_file():
            return unpack(self.archive, folder / self.archive.filename, self.root)
        splits = {}
        for split in mirrors.SPLITS:
            if (folder / split).is_dir() and next((folder / split).rglob("*.png"), None):
                self._other_order()
                splits[split] = mirrors.read_pngs(self.archive, split, folder)
            elif files := mirrors.parquet_files(folder, split):
                self._other_order()
                splits[split] = mirrors.read_parquet(self.archive, split, files)
            else:
                raise SourceError(
                    f"a folder with neither {self.archive.filename}, nor {split}*.parquet, nor "
                    f"{split}/<class>/*.png"
                )
        return unordered.write(self.archive, self.root, splits)

    def _other_order(self) -> None:
        if self.official_order:
            raise SourceError("passed over: it has not the official order, which was asked for")

    def _download(
        self, url: str, part: Path, *, size: int | None = None, limit: int = 0
    ) -> Download:
        return Download(
            url,
            part,
            size=size,
            limit=limit,
            label=self.archive.name,
            say=self.say,
            shown=self.shown,
            patience=self.patience,
        )
