"""Which files in a folder are pictures of which class, or what is wrong with it."""

from pathlib import Path

from cifar_lessons.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg")
SYSTEM_FILES = ("thumbs.db", "desktop.ini")  # beside those that begin with a dot
VALIDATION = ("val", "valid", "validation")

Files = dict[str, list[Path]]  # by class


def _visible(folder: Path) -> list[Path]:
    """Return what a person has put there, by name."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith((".", "__MACOSX")) and path.name.lower() not in SYSTEM_FILES
    ]


def given_split(folder: Path, notes: list[str]) -> tuple[Path, Path] | None:
    """Return the folders of a split that is there already; a class may be called train.

    Raises:
        UserError: There is half of one.
    """

    def holds_folders(path: Path) -> bool:
        return path.is_dir() and any(inner.is_dir() for inner in _visible(path))

    train = folder / "train"
    if not holds_folders(train):
        return None
    found = [folder / name for name in VALIDATION if holds_folders(folder / name)]
    if not found:
        raise UserError(
            f"{folder} holds train, and no {VALIDATION[0]} beside it: give {train}, of which a "
            "share is held out"
        )
    others = [path.name for path in _visible(folder) if path not in (train, found[0])]
    if others:
        notes.append(f"not looked at: {', '.join(others)} in {folder}")
    return train, found[0]


def list_classes(folder: Path, notes: list[str], skip_broken: bool) -> Files:
    """Return the files of each class."""
    inside = _visible(folder)
    folders = [path for path in inside if path.is_dir()]
    loose = [path for path in inside if path.suffix.lower() in ENDINGS and path.is_file()]
    if not folders:
        raise UserError(
            f"{folder} holds no class: sort the pictures into one subfolder a class, such as "
            f"{folder / 'cat'}"
        )
    if loose:
        raise UserError(f"{loose[0]} belongs to no class: move it into one of the subfolders")
    if len(folders) < 2:
        raise UserError(f"{folder} holds one class, {folders[0].name!r}: two are the fewest")
    found: Files = {}
    strangers = []
    for path in folders:
        try:
            path.name.encode()
        except UnicodeEncodeError:
            raise UserError(
                f"the name of a class in {folder} is no text, {path.name!r}: rename it"
            ) from None
        files = _visible(path)
        for file in files:
            if file.is_dir():
                raise UserError(
                    f"{file} is a folder inside a class: pictures lie directly in {path}"
                )
        strangers += [file for file in files if file.suffix.lower() not in ENDINGS]
        found[path.name] = [file for file in files if file.suffix.lower() in ENDINGS]
    complain([f"{file} is no PNG or JPEG: convert it first" for file in strangers], skip_broken)
    notes += [f"left out: {file} is no PNG or JPEG" for file in strangers]
    return found


def complain(mistakes: list[str], skip_broken: bool) -> None:
    """Raise for the first of some files that are no pictures, unless they are to be left out."""
    if not mistakes or skip_broken:
        return
    more = f" (and {len(mistakes) - 1} more like it)" if len(mistakes) > 1 else ""
    raise UserError(f"{mistakes[0]}{more}; --skip-broken leaves such files out")


def require_same_classes(train: Path, val: Path, ours: Files, theirs: Files) -> None:
    """Raise unless both halves of a split name the same classes."""
    for here, there, only in (
        (train, val, sorted(ours.keys() - theirs.keys())),
        (val, train, sorted(theirs.keys() - ours.keys())),
    ):
        if only:
            raise UserError(f"{here} holds a class {only[0]!r} that {there} lacks: add it there")
