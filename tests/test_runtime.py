"""Mirrors cifar_lessons/runtime.py."""

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from cifar_lessons import runtime
from cifar_lessons.distributed import Group
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import (
    PURPOSES,
    Runtime,
    detect,
    has_bf16,
    in_precision,
    layout,
    stream,
    stream_seed,
)

CPU = torch.device("cpu")


# --- random streams ---------------------------------------------------------------------------


def test_no_two_streams_meet():
    """`seed + epoch` would: epoch 1 of seed 0 is then epoch 0 of seed 1."""
    keys = [
        (seed, purpose, *numbers)
        for seed, purpose in itertools.product(range(20), PURPOSES)
        for numbers in [(), *((epoch,) for epoch in range(20)), (0, 1), (1, 0)]
    ]
    assert len({stream_seed(*key) for key in keys}) == len(keys)


def test_streams_are_what_they_were():
    """Pinned: another value would make every recorded run impossible to repeat."""
    assert PURPOSES == {
        **{"init": 0, "order": 1, "augment": 2},
        **{"forward": 3, "split": 4, "synthetic": 5},
        **{"wrong_labels": 9, "label_share": 13},
        **{"architecture": 20, "policy": 21},
    }
    assert stream_seed(0, "init") == 4334430513956379144
    assert stream_seed(3, "augment", 7) == 1466624913859303898
    drawn = torch.randint(1000, (3,), generator=stream(0, "order", 1))
    assert drawn.tolist() == [411, 283, 950]


def test_a_seed_fits_where_torch_and_a_checkpoint_take_it():
    seeds = [stream_seed(seed, "init") for seed in range(1000)]
    assert min(seeds) >= 0
    assert max(seeds) < 2**63


def test_an_unknown_purpose_is_no_stream():
    with pytest.raises(KeyError, match="dropout"):
        stream_seed(0, "dropout")


# --- what detect finds ------------------------------------------------------------------------


def capable(monkeypatch, *, bf16: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bf16})


def accelerator(monkeypatch, kind: str | None, *, count: int = 1) -> None:
    """Pretend that there are such devices; nothing is put on them."""
    found = torch.device(kind) if kind else None
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available=False: found
    )
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_takes_bf16_only_where_it_is_fast(monkeypatch, bf16, precision):
    accelerator(monkeypatch, None)
    capable(monkeypatch, bf16=bf16)
    assert detect() == Runtime(device=CPU, precision=precision)
    assert has_bf16(CPU) is bf16


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bf16"), (False, "fp16")])
def test_cuda_takes_bf16_or_else_scaled_fp16(monkeypatch, bf16, precision):
    accelerator(monkeypatch, "cuda")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    assert detect() == Runtime(device=torch.device("cuda"), precision=precision)
    assert detect(device="cpu", precision="fp32") == Runtime(device=CPU, precision="fp32")


def test_an_older_torch_that_cannot_tell_takes_fp32(monkeypatch):
    """`get_capabilities` came with PyTorch 2.11; a hosted notebook may have an older one."""
    accelerator(monkeypatch, None)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert detect() == Runtime(device=CPU, precision="fp32")


def test_images_lie_channels_last_but_on_mps():
    kinds = {kind: layout(torch.device(kind)) for kind in ("cpu", "cuda", "mps")}
    last = torch.channels_last
    assert kinds == {"cpu": last, "cuda": last, "mps": torch.contiguous_format}


def test_mps_computes_in_fp32(monkeypatch):
    accelerator(monkeypatch, "mps")
    assert detect() == Runtime(device=torch.device("mps"), precision="fp32")


def test_absence_is_found_where_there_is_no_accelerator():
    """Without `check_available=True`, torch names `cuda` on a machine that has none."""
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("this machine has an accelerator")
    assert detect().device == CPU


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"device": "toaster"},
            "--device must be auto, cpu, cuda or mps, got 'toaster'; try cpu",
        ),
        ({"device": "cuda"}, "no 'cuda' device here (found: cpu only); try --device cpu"),
        ({"device": "meta"}, "no 'meta' device here (found: cpu only); try --device cpu"),
        (
            {"precision": "fp8"},
            "--precision must be auto, fp32, bf16 or fp16, got 'fp8'; try auto",
        ),
        ({"precision": "bf16"}, "cpu here has no fast bf16; try --precision fp32"),
        ({"precision": "fp16"}, "a CPU's convolutions do not support fp16; try --precision bf16"),
    ],
)
def test_what_is_not_there_is_told(monkeypatch, arguments, message):
    accelerator(monkeypatch, None)
    capable(monkeypatch, bf16=False)
    with pytest.raises(UserError) as error:
        detect(**arguments)
    assert message in str(error.value)


def test_a_device_number_that_is_too_high_is_told(monkeypatch):
    accelerator(monkeypatch, "cuda", count=2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    chosen: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert detect(device="cuda:1").device == torch.device("cuda:1")
    assert chosen == [torch.device("cuda:1")]  # it is the current one from here on
    assert not torch.backends.cudnn.allow_tf32  # fp32 keeps its 23 bits
    with pytest.raises(UserError, match=r"no device 'cuda:2' here: there are 2; try cuda:0"):
        detect(device="cuda:2")


# --- several processes ------------------------------------------------------------------------

PAIR = Group(rank=5, size=8, local_rank=1)


def test_processes_share_a_cpu(monkeypatch):
    accelerator(monkeypatch, None)
    capable(monkeypatch, bf16=True)
    assert detect(group=PAIR) == Runtime(device=CPU, precision="bf16", group=PAIR)
    assert detect(group=PAIR, precision="fp32").group is PAIR


def test_each_process_takes_a_gpu_of_its_own_machine(monkeypatch):
    accelerator(monkeypatch, "cuda", count=2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert detect(group=PAIR).device == torch.device("cuda:1")
    assert chosen == [torch.device("cuda:1")]


@pytest.mark.parametrize(
    ("kind", "device", "local", "said"),
    [
        ("cuda", "auto", 2, "no GPU is left for process 3 of this machine, which has 2; try "),
        ("cuda", "auto", 2, "try torchrun --nproc-per-node 2"),
        ("cuda", "cuda:0", 0, "8 processes cannot share the device 'cuda:0'; try --device cuda"),
        ("mps", "auto", 0, "8 processes cannot share the device 'mps'; try --device cpu"),
    ],
)
def test_processes_that_cannot_each_have_a_device_are_told(monkeypatch, kind, device, local, said):
    accelerator(monkeypatch, kind, count=2)
    with pytest.raises(UserError) as error:
        detect(device=device, group=Group(rank=local, size=8, local_rank=local))
    assert said in str(error.value)


# --- precision --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_autocast_multiplies_in_the_precision_and_keeps_the_weights(precision, dtype):
    layer = torch.nn.Linear(4, 4)
    with Runtime(device=CPU, precision=precision).autocast():
        out = layer(torch.ones(2, 4))
    assert out.dtype is dtype
    assert layer.weight.dtype is torch.float32


def test_a_recipe_may_fix_the_precision(monkeypatch):
    accelerator(monkeypatch, None)
    capable(monkeypatch, bf16=True)
    found = Runtime(device=CPU, precision="bf16")
    assert in_precision(found, "auto") is found
    assert in_precision(found, "bf16") is found
    assert in_precision(found, "fp32") == Runtime(device=CPU, precision="fp32")
    capable(monkeypatch, bf16=False)
    with pytest.raises(UserError, match="cpu here has no fast bf16"):
        in_precision(Runtime(device=CPU, precision="fp32"), "bf16")


def test_another_precision_keeps_the_device_of_a_rank(monkeypatch):
    """Each of many processes has a device of its own; to look for one again would refuse it."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    own = torch.device("cuda", 1)
    found = Runtime(device=own, precision="bf16", group=Group(rank=1, size=2, local_rank=1))
    assert in_precision(found, "fp32") == replace(found, precision="fp32")


def test_only_fp16_is_scaled():
    enabled = {p: Runtime(device=CPU, precision=p).scaler().is_enabled() for p in PRECISIONS}
    assert enabled == {"fp32": False, "bf16": False, "fp16": True}


PRECISIONS = ("fp32", "bf16", "fp16")


# --- the machine ------------------------------------------------------------------------------


def test_the_machine_has_a_name_and_cores():
    assert runtime.device_name(CPU)
    assert "\n" not in runtime.device_name(CPU)
    assert 1 <= runtime.num_cores() <= (os.cpu_count() or 1)


def test_a_record_says_what_computed():
    known = runtime.machine(Runtime(device=CPU, precision="bf16"))
    assert known == {
        "device": runtime.device_name(CPU),
        "precision": "bf16",
        "threads": torch.get_num_threads(),
        "cores": runtime.num_cores(),
    }
    assert runtime.machine(Runtime(device=torch.device("mps"), precision="fp32"))["threads"] == 0


def test_the_name_of_a_cpu_tells_its_widest_vectors_where_it_has_some(monkeypatch):
    for known, end in (("AVX512", ", AVX512"), ("AVX2", ", AVX2"), ("DEFAULT", "")):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda known=known: known)
        name = runtime.device_name(CPU)
        assert name.endswith(end)
        assert ("AVX" in name) is bool(end)


FLUSH = """
import torch
from cifar_lessons.runtime import detect

def denormals():
    tiny = torch.full((1 << 22,), 1e-30)  # each thread takes a part of so long a tensor
    return (tiny * 1e-10 != 0).view(8, -1).any(dim=1).tolist()

torch.set_num_threads(2)
if {early}:
    denormals()  # starts the threads
detect(device="cpu", precision="fp32")
found = denormals()
print(sum(found))
"""


@pytest.mark.parametrize(("early", "left"), [(False, False), (True, True)])
def test_denormals_are_flushed_on_every_thread(early, left):
    """1e-40 is below the smallest normal float32: arithmetic on it is 5 to 50 times slower.

    The flag is per thread and is inherited when a thread starts. The second case guards the
    first: it shows that a second thread takes part, and what an operation before `detect` does.
    """
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU cannot flush denormals")
    done = subprocess.run(
        [sys.executable, "-c", FLUSH.format(early=early)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        check=True,
    )
    assert (int(done.stdout) > 0) is left, done.stdout


def test_it_waits_for_its_own_accelerator_and_not_for_the_current_one(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    Runtime(device=torch.device("cuda:1"), precision="fp32").synchronize()
    Runtime(device=CPU, precision="fp32").synchronize()
    assert waited == [torch.device("cuda:1")]
