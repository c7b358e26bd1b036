"""Where a result comes from: the code, the machine and the data, as they are when a run begins."""

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from cifar_lessons.errors import UserError

PACKAGES = ("cifar-lessons", "numpy", "torch", "torchvision")


def git(*arguments: str) -> str | None:
    """Return what git prints in the checkout of this package, or None where there is none."""
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _is_ours() -> bool:
    """Return whether the repository around this package holds it.

    Where it lies in one that does not, such as that around a .venv, its commit says nothing.
    """
    return bool(git("ls-files", "--", "__init__.py"))


def is_dirty() -> bool:
    """Return whether this package has uncommitted changes, or no commit that is known.

    A change outside the package (a chapter, a note) cannot move a result, and does not count.
    """
    changed = git("status", "--porcelain", "--", ".") if _is_ours() else None
    return changed is None or changed != ""


def require_committed(what: str = "the result") -> None:
    """Raise if something could not be recorded in the end: asked before it is measured, not after.

    Args:
        what: Is to be recorded, for the message.

    Raises:
        UserError: The code is not committed.
    """
    if is_dirty():
        raise UserError(
            f"--record needs committed code, so that {what} can be repeated; commit it, or leave "
            "--record out"
        )


def provenance(
    *, command: str, device: str, precision: str, threads: int, cores: int, data_digest: str
) -> dict[str, Any]:
    """Return what is known at the start of a run about code, machine and data.

    Args:
        command: What the user typed.
        device: A name such as `AMD EPYC` or `NVIDIA H100`.
        precision: fp32, bf16 or fp16.
        threads: That torch computes with; 0 on an accelerator.
        cores: CPU cores that the process may use.
        data_digest: md5 of the data files, or `synthetic`.
    """
    ours = _is_ours()
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "git_commit": (git("rev-parse", "HEAD") or "") if ours else "",
        "git_dirty": is_dirty(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "device": device,
        "cores": cores,
        "threads": threads,
        "precision": precision,
        "started_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "command": command,
        "data_digest": data_digest,
    }
