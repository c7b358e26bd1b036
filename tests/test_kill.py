"""A training process may be killed at any moment; the same command ends with the same bytes.

Real processes of the command line are killed with SIGKILL and started again until they finish:
at random moments, and at each stage of writing a file, which a clock would rarely hit. Then every
file that an undisturbed process wrote must be there again, byte for byte.
"""

import csv
import dataclasses
import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

# Batch norm, averaged weights, momentum, flips and crops: everything that a checkpoint carries.
OPTIONS = {
    "model.options.width": "4",
    "data.val_size": "0",
    "epochs": "3",
    "batch_size": "16",
    "ema_decay": "0.9",
    "optim.clip_norm": "5.0",
}
STEPS = 3 * (120 // 16)
ARGUMENTS = ("train", "resnet18_w16", *(f"--set={k}={v}" for k, v in OPTIONS.items()))
RUN = Path("resnet18_w16", "seed0")
FILES = ("weights.safetensors", "test_logits.npz")

# Where to die while a file is written, and which write of this process it is. A checkpoint is
# written after every step, so small numbers are checkpoints; `unlink` is the end of the run.
STAGES = ("write:1", "fsync:2", "replace:3", "renamed:2", "write:4", "renamed:5")
# The run is over after weights, history, logits and run.json: the last writes of a process.
LAST_STAGES = ("write", "replace", "renamed")
RANDOM_KILLS = 6  # in each of the two campaigns

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a thing of POSIX")

Cli = Callable[..., list[str]]


@dataclasses.dataclass
class Campaign:
    """What happened in one folder."""

    kills: int = 0
    resumed: int = 0
    finished: list[Path] = dataclasses.field(default_factory=list)


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)}


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )


def run_to_the_end(command: list[str]) -> str:
    process = start(command)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, f"{out}\n{err}"
    return out


def campaign(cli: Cli, base: Path, hooks: list[str], seed: int) -> Campaign:
    """Kill processes as `hooks` say and then at random moments; run the last one to its end."""
    moments: Iterator[float] = iter(
        random.Random(seed).uniform(0.0, 0.5) for _ in range(RANDOM_KILLS)
    )
    done = Campaign()

    def command(hook: str) -> list[str]:
        out = base / str(len(done.finished))
        return cli(*ARGUMENTS, "--out", str(out), hook=f"save-each-step,{hook}")

    def attempt(hook: str, moment: float | None) -> None:
        process = start(command(hook))
        assert process.stdout is not None
        first = process.stdout.readline()  # printed when training is about to start
        assert "resnet18_w16 seed 0" in first, process.communicate(timeout=120)[1]
        if moment is not None:
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
        out, err = process.communicate(timeout=120)
        done.resumed += "resuming at" in out
        assert process.returncode in (0, -signal.SIGKILL), err
        if process.returncode == 0:
            done.finished.append(base / str(len(done.finished)))
        else:
            done.kills += 1

    for hook in hooks:
        attempt(f"die:{hook}", None)
    for moment in moments:
        attempt("-", moment)
    attempt("-", None)
    return done


def test_a_killed_process_ends_as_an_undisturbed_one(made_up_cli: Cli, tmp_path: Path):
    half = len(STAGES) // 2
    with ThreadPoolExecutor(2) as two:
        alone = two.submit(run_to_the_end, made_up_cli(*ARGUMENTS, "--out", str(tmp_path / "a")))
        first = two.submit(campaign, made_up_cli, tmp_path / "b", [*STAGES[:half]], 1)
        second = two.submit(campaign, made_up_cli, tmp_path / "c", [*STAGES[half:]], 2)
        assert "resuming" not in alone.result()
        campaigns = [first.result(), second.result()]
    expected = tmp_path / "a" / RUN
    for folder in [f for c in campaigns for f in c.finished]:
        assert_same_run(folder / RUN, expected)
    assert all(c.finished for c in campaigns)
    assert sum(c.resumed for c in campaigns) >= 10


def assert_same_run(found: Path, expected: Path) -> None:
    for name in FILES:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), found / name
    ours, theirs = (json.loads((f / "run.json").read_text()) for f in (found, expected))
    assert ours["final"] == theirs["final"]
    assert ours["recipe"] == theirs["recipe"]
    histories = []
    for folder in (found, expected):
        with open(folder / "history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        histories.append([{k: v for k, v in row.items() if k != "seconds"} for row in rows])
    assert histories[0] == histories[1]
    assert sorted(p.name for p in found.iterdir()) == sorted(p.name for p in expected.iterdir())
