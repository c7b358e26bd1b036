"""From typed words to a call: what every command of the command line shares.

tyro makes the flags from a function's signature and its help from the docstring. A mistake
becomes a `UserError` of one line. This module imports no torch, so `--help` answers at once.
"""

import contextlib
import functools
import inspect
import io
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from typing import Any

import tyro

from cifar_lessons.errors import UserError, suggest

Commands = Mapping[str, Callable[..., None]]  # by the word that chooses one


# What names a place of one machine alone, and perhaps holds a password.
NOT_KEPT = ("--out", "--data", "--storage")


def typed() -> str:
    """Return the command line as it was typed, but for what is this machine's alone."""
    kept: list[str] = []
    skip = False
    for word in sys.argv[1:]:
        option = word.partition("=")[0]
        if not skip and option not in NOT_KEPT:
            kept.append(word)
        skip = not skip and option in NOT_KEPT and "=" not in word
    return shlex.join(["cifar-lessons", *kept])


def deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """Return `command` as a function that only remembers its arguments."""

    @functools.wraps(command)
    def remember(*args: Any, **kwargs: Any) -> Callable[[], None]:
        return lambda: command(*args, **kwargs)

    remember.__annotations__ = {**command.__annotations__, "return": Callable[[], None]}
    return remember


def parse(
    arguments: list[str],
    commands: Commands,
    *,
    prog: str,
    description: str,
    fields: Mapping[str, str] | None = None,
) -> Callable[[], None]:
    """Return the chosen command, ready to be called.

    Args:
        arguments: What was typed after `prog`.
        commands: What there is to choose from.
        prog: The words before, such as `cifar-lessons`.
        description: Stands on top of `--help`.
        fields: What a command with `--set` changes by it, by the word that a person may take for
            an option, such as `epochs`.

    Raises:
        UserError: What was typed fits no command or not its flags.
    """
    if arguments and not arguments[0].startswith("-") and arguments[0] not in commands:
        whole = " ".join([*prog.split()[1:], arguments[0]])
        raise UserError(f"no command {whole!r}: {suggest(arguments[0], commands)}")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            chosen: Callable[[], None] = tyro.extras.subcommand_cli_from_dict(
                {name: deferred(command) for name, command in commands.items()},
                prog=prog,
                description=description,
                args=arguments,
            )
            return chosen
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
    command = f" {arguments[0]}" if arguments and arguments[0] in commands else ""
    what = in_one_line(said.getvalue())
    if command and fields and "set" in inspect.signature(commands[arguments[0]]).parameters:
        for option in (word.partition("=")[0] for word in arguments if word.startswith("--")):
            field = fields.get(option[2:].replace("-", "_"))
            if field and what.startswith("Unrecognized") and option in what:
                raise UserError(
                    f"no option {option!r}: a field of the recipe is changed by "
                    f"`--set {field}=VALUE`"
                )
    raise UserError(f"{what}; `{prog}{command} --help` shows what it takes")


def in_one_line(box: str) -> str:
    """Return what tyro says in a box of several lines: what is wrong, and the nearest options."""
    box = re.sub(r"\s*\(applied to [^)]*\)", "", box)
    inside = [line.strip("│| ") for line in box.splitlines()[1:]]
    # Its parts are set apart by rules and empty lines: lines without a letter.
    text = "\n".join(line if re.search(r"\w", line) else "" for line in inside)
    what, *others = (part.splitlines() for part in re.split(r"\n\n+", text.strip()))
    near = [
        line.split()[0].rstrip(",")
        for part in others
        if part[0].startswith("Perhaps you meant")
        for line in part
        if line.startswith("--")
    ]
    near = [option for option in near if option not in " ".join(what).split()]
    offered = f": did you mean {' or '.join(near)}?" if near else ""
    return re.sub(r"\s+", " ", " ".join(what)).rstrip(".:") + offered
