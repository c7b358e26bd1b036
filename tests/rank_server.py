"""Processes that train together, a few milliseconds after they are asked for.

    python rank_server.py

It imports torch and the package once, and then forks: a test that wants three ranks would otherwise
wait three times for the import. Nothing is computed before the fork, so no thread gets lost in it.

A job comes on the standard input as a pickle (see `Job`), its answer leaves on the standard output.
The function of a job is found by file and name, and runs in each rank as torchrun would start it.
"""

import dataclasses
import importlib.util
import os
import pickle
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

IMPORTED = (
    *("cifar_lessons.experiment", "cifar_lessons.training.averaging"),
    "torch._dynamo",  # PyTorch imports it at the first step of an optimizer
    "sklearn.model_selection",  # which splits the data
    *("hypothesis", "pytest"),  # what test files import
)


@dataclasses.dataclass
class Job:
    """What is to be run, and on which ranks."""

    file: str
    function: str
    arguments: tuple[Any, ...]
    size: int  # of the group
    ranks: tuple[int, ...]  # those that are started
    seconds: float  # after which what is left is killed


@dataclasses.dataclass
class Rank:
    """How a rank ended."""

    status: int  # exit status, or minus the signal that ended it
    out: str
    err: str
    value: Any = None  # what the function returned


def main() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    while True:
        try:
            job = Job(*pickle.load(sys.stdin.buffer))
        except EOFError:
            return
        found = [dataclasses.astuple(rank) for rank in run(job)]
        pickle.dump(found, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def run(job: Job) -> list[Rank]:
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        children = {}
        for rank in job.ranks:
            base = Path(folder, str(rank))
            child = os.fork()
            if child == 0:
                work(job, rank, port, base)  # never returns
            children[rank] = child
        statuses = wait(children, time.monotonic() + job.seconds)
        found = []
        for rank in job.ranks:
            out, err = (Path(folder, f"{rank}.{name}").read_text() for name in ("out", "err"))
            value = Path(folder, f"{rank}.value")
            returned = pickle.loads(value.read_bytes()) if value.exists() else None
            found.append(Rank(statuses[rank], out, err, returned))
        return found


def wait(children: dict[int, int], end: float) -> dict[int, int]:
    statuses: dict[int, int] = {}
    while len(statuses) < len(children):
        for rank, child in children.items():
            if rank not in statuses:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    statuses[rank] = os.waitstatus_to_exitcode(status)
                elif time.monotonic() > end:
                    os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    return statuses


def work(job: Job, rank: int, port: int, base: Path) -> None:
    """Be a rank, and end."""
    status = 1
    try:
        for stream, name in ((1, "out"), (2, "err")):
            descriptor = os.open(base.with_suffix(f".{name}"), os.O_WRONLY | os.O_CREAT)
            os.dup2(descriptor, stream)
        sys.stdin = open(os.devnull)  # noqa: SIM115
        sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1) for n in (1, 2))
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(job.size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        spec = importlib.util.spec_from_file_location("asked_for", job.file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        value = getattr(module, job.function)(*job.arguments)
        base.with_suffix(".value").write_bytes(pickle.dumps(value))
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
