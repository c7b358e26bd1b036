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
from collections.abc import Callable
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
ARGUMENTS = ("train", "resnet18_w16", *(f"--set={k}={v}" for k, v in OPTIONS.items()))
RUN = Path("resnet18_w16", "seed0")
FILES = ("weights.safetensors", "test_logits.npz")

# Where to die while a file is written, and in which write of the process; see made_up_cli.py.
IN_A_CHECKPOINT = ("write:1", "fsync:2", "replace:3", "renamed:2")
# A whole run makes 3 checkpoints, one an epoch, and then weights, history, logits and run.json.
# Resumed after the last checkpoint it makes those four alone.
AT_THE_END = ("write:4", "fsync:2", "replace:4", "renamed:4")
RANDOM_KILLS = 10  # in each of the two folders
LONGEST_WAIT = 0.5  # seconds of training before a random kill; a whole run takes about one
TIMEOUT = 600  # seconds for one process, on a machine that does much else

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a thing of POSIX")

Cli = Callable[..., list[str]]


@dataclasses.dataclass
class Campaign:
    """What happened in one folder."""

    kills: int = 0
    resumed: int = 0
    finished: list[Path] = dataclasses.field(default_factory=list)


def start(command: list[str]) -> subprocess.Popen[str]:
    surroundings = {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **surroundings},
    )


def run_to_the_end(command: list[str]) -> str:
    process = start(command)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, f"{out}\n{err}"
    return out


def kill_again_and_again(cli: Cli, base: Path, hooks: list[str], *, seed: int) -> Campaign:
    """Kill a run as each hook says, then at random moments, then let it finish.

    A run that finishes before its next kill is kept, and another one is begun.
    """
    rng = random.Random(seed)
    done = Campaign()

    def attempt(hook: str, *, moment: float | None = None) -> None:
        out = base / str(len(done.finished))
        process = start(cli(*ARGUMENTS, "--out", str(out), hook=hook))
        assert process.stdout is not None
        first = process.stdout.readline()  # printed just before training starts
        if moment is not None:
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.kill()
        rest, err = process.communicate(timeout=TIMEOUT)
        assert "resnet18_w16 seed 0 on" in first, err
        assert process.returncode in (0, -signal.SIGKILL), err
        done.resumed += "resuming at" in rest
        if process.returncode == 0:
            done.finished.append(out)
        else:
            done.kills += 1

    for hook in hooks:
        attempt(hook)
    assert done.kills == len(hooks), "a process outlived the moment at which it was to die"
    while done.kills < len(hooks) + RANDOM_KILLS:
        attempt("save-each-step", moment=rng.uniform(0.0, LONGEST_WAIT))
    attempt("save-each-step")
    return done


def test_a_killed_run_ends_as_an_undisturbed_one(made_up_cli: Cli, tmp_path: Path):
    within = [f"save-each-step,die:{stage}" for stage in IN_A_CHECKPOINT]
    at_the_end = [f"die:{stage}" for stage in AT_THE_END]
    with ThreadPoolExecutor(2) as two:
        alone = made_up_cli(*ARGUMENTS, "--out", str(tmp_path / "a"))
        undisturbed = two.submit(run_to_the_end, alone)
        first = two.submit(kill_again_and_again, made_up_cli, tmp_path / "b", within, seed=1)
        second = two.submit(kill_again_and_again, made_up_cli, tmp_path / "c", at_the_end, seed=2)
        assert "resuming" not in undisturbed.result()
        campaigns = [first.result(), second.result()]
    for folder in [f for c in campaigns for f in c.finished]:
        assert_same_run(folder / RUN, tmp_path / "a" / RUN)
    assert sum(c.kills for c in campaigns) >= 20 + len(within) + len(at_the_end)
    assert sum(c.resumed for c in campaigns) >= 5


def assert_same_run(found: Path, expected: Path) -> None:
    assert sorted(p.name for p in found.iterdir()) == sorted(p.name for p in expected.iterdir())
    for name in FILES:
        assert (found / name).read_bytes() == (expected / name).read_bytes(), found / name
    ours, theirs = (json.loads((f / "run.json").read_text()) for f in (found, expected))
    assert ours["final"] == theirs["final"]
    assert ours["recipe"] == theirs["recipe"]
    assert history(found) == history(expected)


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of a run's history but for the seconds, which two runs never share."""
    with open(folder / "history.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
