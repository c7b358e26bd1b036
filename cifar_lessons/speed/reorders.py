"""How much of its time oneDNN, PyTorch's library for convolutions on a CPU, spends on reorders.

A convolution wants its tensors in a layout of its own, and copies them there and back where they
are in another. PyTorch's profiler sees one operation; oneDNN's own log tells the two apart.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch


def reorder_share(step: Callable[[], object]) -> float | None:
    """Return the share of reorders in the time of convolutions and linear layers, in [0, 1].

    Args:
        step: Does some work with convolutions in it.

    Returns:
        None where this build has no oneDNN, or nothing of it was called.
    """
    if not torch.backends.mkldnn.is_available():
        return None
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        # The log goes to the standard output of the process, past Python.
        with _output_to(log), torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
            step()
        return share_of_reorders(log.read_text(errors="replace"))


def share_of_reorders(log: str) -> float | None:
    """Return the share of reorders among reorders and products in a log of oneDNN.

    A line ends with milliseconds, and after `exec` come the engine and the kind of work:
    `onednn_verbose,v1,primitive,exec,cpu,reorder,jit:blk,…,1.086`.
    """
    spent = dict.fromkeys(("reorder", "convolution", "inner_product", "matmul"), 0.0)
    for line in log.splitlines():
        fields = line.split(",")
        if line.startswith("onednn_verbose") and "exec" in fields:
            kind = fields[fields.index("exec") + 2]
            if kind in spent:
                spent[kind] += float(fields[-1])
    total = sum(spent.values())
    return spent["reorder"] / total if total else None


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send what the process, C libraries included, prints to a file."""
    sys.stdout.flush()
    kept = os.dup(1)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
