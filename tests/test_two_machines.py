"""The run book for two machines, tried on two network namespaces; see two_machines.sh."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("two_machines.sh")
RUN = Path("resnet18_w16", "seed0")
ARGUMENTS = (
    *("train", "resnet18_w16", "--set=model.options.width=4", "--set=data.val_size=20"),
    *("--set=epochs=1", "--set=batch_size=20", "--threads=1"),
)


@pytest.fixture
def namespaces() -> None:
    """Skip with the reason where the kernel makes no network namespaces for us."""
    if shutil.which("ip") is None:
        pytest.skip("no `ip` here: it comes with iproute2, on Linux")
    name = f"probe{os.getpid()}"
    for command in (
        ["ip", "netns", "add", name],
        ["ip", "link", "add", f"{name}x"[-15:], "netns", name, "type", "veth"],
        ["ip", "netns", "del", name],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
            pytest.skip(f"`{' '.join(command)}` is refused: {done.stderr.strip()}")


def on_one_machine(script: str, constants: str, out: str) -> None:
    sys.argv = [script, constants, "-", *ARGUMENTS, "--out", out]
    runpy.run_path(script, run_name="__main__")


def test_two_machines_make_the_run_that_two_processes_make(
    namespaces, ranks, made_up_cli, tmp_path
):
    """They share no folder: the run lies where rank 0 was. The bytes are those of one machine."""
    _, script, constants, *_ = made_up_cli()
    command = [str(SCRIPT), script, constants, "-", *ARGUMENTS, "--out", f"{tmp_path}/MACHINE"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHON": sys.executable, "PORT": str(20_000 + os.getpid() % 10_000)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("resnet18_w16 seed 0 on cpu") == 1  # one voice for both
    assert ", 2 processes -> " in done.stdout
    [made] = [tmp_path / name / RUN for name in "ab" if (tmp_path / name).exists()]

    ends = ranks(on_one_machine, script, constants, str(tmp_path / "one"))
    assert [rank.status for rank in ends] == [0, 0], ends
    for name in ("weights.safetensors", "test_logits.npz"):
        assert (made / name).read_bytes() == (tmp_path / "one" / RUN / name).read_bytes(), name
