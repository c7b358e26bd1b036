"""torchrun from Python: for notebooks and benchmarks, on one machine.

In a terminal, type `torchrun` itself. It is PyTorch's launcher; nothing here does its work.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cifar_lessons.errors import UserError


def torchrun(
    arguments: Sequence[str], *, processes: int, threads: int = 1, folder: Path | None = None
) -> str:
    """Run a program in several processes that can train together, and return what they print.

    Args:
        arguments: A script or `-m` and a module, and what it takes.
        processes: At least 1.
        threads: CPU threads of each.
        folder: Where they run; here, if not given.

    Raises:
        UserError: They did not end well; the message holds their own last words.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    # Else they would look each other up by this machine's name, which leads nowhere on some.
    command += ["--local-addr=127.0.0.1", f"--nproc-per-node={processes}", *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    if done.returncode:
        raise UserError(
            f"torchrun {' '.join(arguments)} ended with status {done.returncode} in {processes} "
            f"processes: {_last_words(done.stderr)}"
        )
    return done.stdout


def _last_words(text: str) -> str:
    """Return our own message, else the last error of a traceback, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith("cifar-lessons:")]
    # A traceback ends with `SomeError: what`; torchrun's own comes after those of the processes.
    errors = [line for line in lines if line.partition(":")[0].endswith(("Error", "Exception"))]
    return (ours or errors[:1] or lines or ["nothing was said"])[0 if errors or ours else -1]
