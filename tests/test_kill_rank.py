"""Processes that train together may be killed one by one; torchrun starts all of them again.

Real torchrun, real SIGKILL, at random moments. The run ends with what two processes end with that
nobody disturbed, byte for byte.
"""

import json
import os
import random
import runpy
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

RUN = Path("resnet18_w16", "seed0")
# Batch norm, averaged weights, momentum, flips and crops: everything that a checkpoint carries.
ARGUMENTS = (
    *("train", "resnet18_w16", "--set=model.options.width=4", "--set=data.val_size=20"),
    *("--set=epochs=10", "--set=batch_size=16", "--set=ema_decay=0.9", "--set=optim.clip_norm=5.0"),
    "--threads=1",
)
VICTIMS = (1, 0)  # first the one that only computes, then the one that writes
LONGEST_WAIT = 0.2  # seconds of training before a kill
TIMEOUT = 600  # seconds, on a machine that does much else

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a thing of POSIX")


def undisturbed(script: str, constants: str, out: str) -> None:
    sys.argv = [script, constants, "save-each-step", *ARGUMENTS, "--out", out]
    runpy.run_path(script, run_name="__main__")


def rank_of(process: psutil.Process) -> int:
    """The rank of a worker of torchrun, and -1 for any other process."""
    try:
        return int(process.environ().get("RANK", -1))
    except psutil.Error:
        return -1


def wait_for(sign, torchrun: subprocess.Popen[str], err: Path):
    """Return what `sign()` gives as soon as it is true."""
    end = time.monotonic() + TIMEOUT
    while not (found := sign()):
        assert torchrun.poll() is None, f"ended before it could be killed: {err.read_text()}"
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def test_a_killed_rank_is_started_again_and_nothing_is_lost(ranks, made_up_cli, tmp_path):
    _, script, constants, *_ = made_up_cli()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    torchrun += ["--local-addr=127.0.0.1", "--nproc-per-node=2", f"--max-restarts={len(VICTIMS)}"]
    command = [script, constants, "save-each-step", *ARGUMENTS, "--out", str(tmp_path / "killed")]
    checkpoint = tmp_path / "killed" / RUN / "checkpoint.pt"
    out, err = tmp_path / "out", tmp_path / "err"
    rng = random.Random(7)
    with out.open("w") as o, err.open("w") as e:
        process = subprocess.Popen(
            [*torchrun, *command],
            stdout=o,
            stderr=e,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
    try:
        for number, victim in enumerate(VICTIMS):

            def trains_again(attempt: int = number) -> bool:
                starts = out.read_text().count("seed 0 on cpu")
                return starts == attempt + 1 and checkpoint.exists()

            wait_for(trains_again, process, err)
            before = checkpoint.stat().st_mtime_ns
            wait_for(lambda seen=before: checkpoint.stat().st_mtime_ns > seen, process, err)
            time.sleep(rng.uniform(0.0, LONGEST_WAIT))
            workers = psutil.Process(process.pid).children()
            [found] = [worker for worker in workers if rank_of(worker) == victim]
            found.kill()
        assert process.wait(TIMEOUT) == 0, err.read_text()
    finally:
        process.kill()
        process.wait()
    said = out.read_text()
    assert said.count("seed 0 on cpu") == said.count("resuming at") + 1 == len(VICTIMS) + 1, said
    for victim in VICTIMS:
        assert f"failed (exitcode: -9) local_rank: {victim}" in err.read_text()

    ends = ranks(undisturbed, script, constants, str(tmp_path / "whole"))
    assert [rank.status for rank in ends] == [0, 0], ends
    killed, whole = (tmp_path / name / RUN for name in ("killed", "whole"))
    assert sorted(p.name for p in killed.iterdir()) == sorted(p.name for p in whole.iterdir())
    for name in ("weights.safetensors", "test_logits.npz", "val_logits.npz"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = (json.loads((f / "run.json").read_text()) for f in (killed, whole))
    assert ours["final"] == theirs["final"]
    assert history(killed) == history(whole)


def history(folder: Path) -> list[str]:
    """The rows of a run's history but for the seconds, which two runs never share."""
    return [line.rpartition(",")[0] for line in (folder / "history.csv").read_text().splitlines()]
