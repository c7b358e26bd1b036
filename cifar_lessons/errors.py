"""The one kind of error that is the user's to mend, and what becomes of it in many processes."""

import difflib
import re
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend; the message says what is wrong and what to type.

    The command line prints it as one line and exits with status 2. Library code that checks a
    single argument raises `ValueError` as usual; this class is for what a person typed, or for
    what lies on their disk.
    """


class AlreadyTold(UserError):
    """A mistake that rank 0 tells: a process beside it ends in the same way, in silence."""


class RankLost(Exception):
    """Another of the processes that train together has gone, so this one cannot go on."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `did you mean 'a' or 'b'?` for the nearest known names, or the list of all."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(n) for n in near) + "?"
    return "known: " + ", ".join(known)


def memory_ran_out(error: BaseException) -> str | None:
    """Return what to do about memory that ran out, in one line, or None if it is another error.

    NumPy raises a `MemoryError`. PyTorch raises a `RuntimeError`, whose words depend on the device.
    """
    words = str(error)
    known = isinstance(error, RuntimeError) and re.search(
        r"out of memory|can't allocate memory", words
    )
    if not known and not isinstance(error, MemoryError):
        return None
    wanted = re.search(r"(?i)allocate ([\d.]+ ?(?:[KMGT]i?B|bytes))", words)
    for_what = f" for {wanted[1]}" if wanted else ""
    return (
        f"there is not enough memory{for_what}; what was saved is intact; a smaller batch_size, "
        "micro_batch or width needs less"
    )
