"""The machine, found once: device, precision, group of processes, CPU set-up, random streams.

Nothing here runs at import. The CUDA and MPS branches have never run on such a device in this
project; they use `torch.accelerator` and `torch.amp` alone, so the same lines serve all.
"""

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, cast, get_args

import numpy as np
import torch

from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.errors import UserError

Precision = Literal["fp32", "bf16", "fp16"]
# One number a purpose, so that two streams of one seed never meet. Append; never renumber.
PURPOSES = {
    **{"init": 0, "order": 1, "augment": 2, "forward": 3, "split": 4, "synthetic": 5},
    "wrong_labels": 9,
    "label_share": 13,
    **{"architecture": 20, "policy": 21},
}


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where a run computes, in which arithmetic, and with which other processes."""

    device: torch.device
    precision: Precision
    group: Group = ALONE

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Run the forward pass in this precision; weights stay float32."""
        if self.precision == "fp32":
            yield
            return
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        with torch.autocast(self.device.type, dtype=dtype):
            yield

    def scaler(self) -> torch.amp.GradScaler:
        """Return a gradient scaler that does nothing unless the precision is fp16."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    def synchronize(self) -> None:
        """Wait for queued work, so that a clock read next is true."""
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)


def layout(device: torch.device) -> torch.memory_format:
    """Return how images and filters lie in memory on a device.

    channels_last: convolutions are fastest in it. But not on MPS, where the backward pass of batch
    normalisation stopped with an error or gave wrong gradients for it, without a word (PyTorch's
    issue 175189; mended in mid-2026, and readers have older versions).
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def has_bf16(device: torch.device) -> bool:
    """Return whether bfloat16 is fast on `device`: detected, never assumed."""
    if device.type == "cpu":
        # Asked for since PyTorch 2.11. An older one can't tell, so it takes fp32.
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("avx512_bf16", False))
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return False


def detect(*, device: str = "auto", precision: str = "auto", group: Group = ALONE) -> Runtime:
    """Find the device and the precision, and set the CPU up for training.

    Args:
        device: `auto` takes the accelerator if there is one, else the CPU; or `cpu`, `cuda`,
            `cuda:1`, `mps`.
        precision: `auto` takes bf16 where the device is fast at it, fp16 on other CUDA devices,
            else fp32.
        group: The processes that train together; each takes an accelerator of its own.

    Raises:
        UserError: The device is absent, or it cannot compute in that precision.
    """
    # Numbers below 1e-38 slow convolutions 5–50 times, and this is set per thread: it must
    # come before the first parallel operation, which starts the threads.
    torch.set_flush_denormal(True)
    found = torch.accelerator.current_accelerator(check_available=True)
    if device == "auto":
        chosen = found or torch.device("cpu")
    else:
        try:
            chosen = torch.device(device)
        except RuntimeError:
            raise UserError(
                f"--device must be auto, cpu, cuda or mps, got {device!r}; try cpu"
            ) from None
        if chosen.type != "cpu" and (found is None or found.type != chosen.type):
            raise UserError(
                f"no {chosen.type!r} device here (found: {found or 'cpu only'}); try --device cpu"
            )
        count = 1 if chosen.type == "cpu" else torch.accelerator.device_count()
        if (chosen.index or 0) >= count:
            raise UserError(f"no device {device!r} here: there are {count}; try {chosen.type}:0")
    if group.size > 1 and chosen.type != "cpu":
        chosen = _own_device(chosen, group)
    elif chosen.type == "cuda" and chosen.index is not None:
        torch.cuda.set_device(chosen)  # what asks for no device asks for the current one
    if chosen.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # fp32 means fp32, in convolutions too
    if precision == "auto":
        fallback: Precision = "fp16" if chosen.type == "cuda" else "fp32"
        return Runtime(
            device=chosen, precision="bf16" if has_bf16(chosen) else fallback, group=group
        )
    _require_precision(chosen, precision)
    return Runtime(device=chosen, precision=cast(Precision, precision), group=group)


def _require_precision(device: torch.device, precision: str) -> None:
    """Refuse what is no precision, and what the device can't compute in, or only slowly."""
    if precision not in get_args(Precision):
        raise UserError(
            f"--precision must be auto, fp32, bf16 or fp16, got {precision!r}; try auto"
        )
    if precision == "bf16" and not has_bf16(device):
        raise UserError(f"{device.type} here has no fast bf16; try --precision fp32")
    if precision == "fp16" and device.type == "cpu":
        raise UserError("a CPU's convolutions do not support fp16; try --precision bf16 or fp32")


def _own_device(chosen: torch.device, group: Group) -> torch.device:
    """Return the accelerator of this rank among those of its machine, and make it the default."""
    if chosen.type != "cuda" or chosen.index is not None:
        mend = "cuda" if chosen.type == "cuda" else "cpu"
        raise UserError(
            f"{group.size} processes cannot share the device {str(chosen)!r}; try --device {mend}"
        )
    count = torch.accelerator.device_count()
    if group.local_rank >= count:
        raise UserError(
            f"no GPU is left for process {group.local_rank + 1} of this machine, which has "
            f"{count}; try torchrun --nproc-per-node {count}"
        )
    own = torch.device("cuda", group.local_rank)
    torch.cuda.set_device(own)
    return own


def in_precision(runtime: Runtime, wanted: str) -> Runtime:
    """Return `runtime` computing in the precision that a recipe fixes.

    Args:
        runtime: As found; its own precision stands where the recipe leaves it open.
        wanted: `auto`, `fp32` or `bf16`.

    Raises:
        UserError: The device is not fast at bf16.
    """
    if wanted in ("auto", runtime.precision):
        return runtime
    _require_precision(runtime.device, wanted)
    return replace(runtime, precision=cast(Precision, wanted))


def device_name(device: torch.device) -> str:
    """Return what a person calls the device, such as `NVIDIA H100` or `AMD EPYC 9R14, AVX512`.

    A CPU's widest vector instructions are named too: two processors of one name may differ in
    them, and with that in speed by several times.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return platform.processor() or platform.machine()
    known = torch.backends.cpu.get_cpu_capability()
    vectors = f", {known}" if known.startswith("AVX") else ""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip() + vectors
    return (platform.processor() or platform.machine()) + vectors


def num_cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Machine(TypedDict):
    """What a record says of the machine."""

    device: str  # a name such as `AMD EPYC 9R14, AVX512`
    precision: str
    threads: int  # of a process; 2 of 1 thread each keep 2 cores busy; 0 on an accelerator
    cores: int  # that the process may use


def machine(runtime: Runtime) -> Machine:
    """Return what a record says of the machine that computes."""
    return Machine(
        device=device_name(runtime.device),
        precision=runtime.precision,
        threads=torch.get_num_threads() if runtime.device.type == "cpu" else 0,
        cores=num_cores(),
    )


def stream_seed(seed: int, purpose: str, *numbers: int) -> int:
    """Return 63 bits that depend on all arguments, and collide for no two of them in practice.

    `SeedSequence` with a spawn key is used because `seed + epoch` makes epoch 1 of seed 0 and
    epoch 0 of seed 1 the same stream.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(PURPOSES[purpose], *numbers))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def stream(seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """Return a CPU random generator for one purpose (and epoch, or step) of a seed."""
    return torch.Generator().manual_seed(stream_seed(seed, purpose, *numbers))
