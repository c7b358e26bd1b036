"""The one kind of error that is the user's to mend, and what becomes of it in many processes."""

import difflib
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
