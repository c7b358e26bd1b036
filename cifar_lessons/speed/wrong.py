"""What benchmarks refuse, said in one line each."""

from collections.abc import Collection, Sequence

from cifar_lessons.errors import UserError, suggest


def require_seconds(seconds: float, mend: str) -> None:
    """Raise a `UserError` unless a benchmark may take that long.

    Args:
        seconds: In (0, 86400]; NaN is refused too.
        mend: A value that works.
    """
    if not 0 < seconds <= 86_400:
        raise UserError(f"--seconds must be in (0, 86400], got {seconds:g}; try --seconds {mend}")


def require_batches(batches: Sequence[int], mend: str, *, flag: str = "--batches") -> None:
    """Raise a `UserError` unless there is a batch size, and all are in [2, 4096].

    With one image, batch normalisation has nothing to normalise over at 1x1 positions.
    """
    wrong = [b for b in batches if not 2 <= b <= 4096]
    if wrong or not batches:
        got = wrong[0] if wrong else "none"
        raise UserError(f"{flag} must be in [2, 4096], got {got}; try {flag} {mend}")


def require_known(names: Sequence[str], known: Collection[str], flag: str) -> None:
    """Raise a `UserError` for a name that a benchmark does not know, or for none at all."""
    if not names:
        raise UserError(f"{flag} needs a name; known: {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UserError(f"{flag}: no {name!r}: {suggest(name, known)}")
