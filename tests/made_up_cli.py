"""The real command line, in a process of its own, on a made-up data set.

    python made_up_cli.py CONSTANTS HOOK ARGUMENT...

CONSTANTS is a JSON file with the names and md5s of the made-up files. They stand in for those of
torchvision's class, of which the package reads nothing else; leaving the rest of torchvision out
makes a start a second faster. HOOK is a comma-separated list of

    -                  nothing
    save-each-step     a checkpoint after every step, in place of one a minute
    die:STAGE:N        SIGKILL itself at the N-th time (from 1) that an atomic write reaches STAGE:
                       `write` (half of the bytes written), `fsync`, `replace` or `renamed`
    full:N             from the N-th atomic write on, the disk is full

CIFAR_LESSONS_DATA is set to the folder of CONSTANTS.
"""

import builtins
import errno
import json
import os
import pathlib
import signal
import sys
import types


def main() -> None:
    constants, hooks, *arguments = sys.argv[1:]
    os.environ["CIFAR_LESSONS_DATA"] = str(pathlib.Path(constants).parent)
    stand_in = types.ModuleType("torchvision")
    cifar10 = types.SimpleNamespace(
        **json.loads(pathlib.Path(constants).read_text()),
        url="http://127.0.0.1:9/nothing-listens-here",
        filename="made-up.tar.gz",
        tgz_md5="0" * 32,
        __name__="CIFAR10",
    )
    stand_in.datasets = types.SimpleNamespace(CIFAR10=cifar10)
    sys.modules["torchvision"] = stand_in
    for hook in hooks.split(","):
        name, *numbers = hook.split(":")
        if name == "save-each-step":
            from cifar_lessons import experiment

            assert "save_every" in experiment.train.__kwdefaults__
            experiment.train.__kwdefaults__["save_every"] = 0.0
        elif name == "die":
            die_at(numbers[0], int(numbers[1]))
        elif name == "full":
            full_from(int(numbers[0]))
        elif name != "-":
            raise ValueError(f"no hook {hook!r}")
    sys.argv = ["cifar-lessons", *arguments]
    from cifar_lessons.cli import main as cli

    cli()


def die_at(stage: str, n: int) -> None:
    from cifar_lessons import atomic

    left = n

    def reached() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def patched(name, *, after=False):
        real = getattr(os, name)

        def call(*args):
            dying = reached()
            if dying and not after:
                die()
            real(*args)
            if dying:
                die()

        setattr(os, name, call)

    if stage == "write":

        def open_that_dies(path, mode):
            file = builtins.open(path, mode)  # noqa: SIM115
            if not reached():
                return file

            class HalfWritten:
                def __enter__(self):
                    return self

                def __exit__(self, *_):
                    file.close()

                def write(self, content):
                    file.write(content[: len(content) // 2])
                    file.flush()
                    die()

            return HalfWritten()

        atomic.open = open_that_dies
    else:
        name = {"fsync": "fsync", "replace": "replace", "renamed": "replace"}[stage]
        patched(name, after=stage == "renamed")


def full_from(n: int) -> None:
    left = n
    fsync = os.fsync

    def full(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    os.fsync = full


if __name__ == "__main__":
    main()
