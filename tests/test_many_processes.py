"""The command line in several processes: one run, one voice, and one line for a mistake.

Each rank is a process of its own, started as torchrun starts it. Whatever goes wrong, and on
whichever rank, all of them end, with status 2, and one line says what and where.
"""

import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from cifar_lessons import origins, runs

# Neither batch norm nor dropout, which are a rank's own: so ranks do what one process does.
TINY = (
    *("train", "resnet18_w16", "--set=model.options.width=4", "--set=model.options.norm=false"),
    *(
        "--set=data.val_size=20",
        "--set=batch_size=20",
        "--set=epochs=2",
        "--set=optim.peak_lr=0.02",
    ),
    *("--threads=1", "--precision=fp32"),
)
RUN = Path("resnet18_w16", "seed0")


def typed(script: str, constants: str, hook: str, *by_rank: list[str]) -> None:
    """Be `cifar-lessons` on a made-up data set, with the arguments of this rank."""
    sys.argv = [script, constants, hook, *by_rank[int(os.environ["RANK"])]]
    runpy.run_path(script, run_name="__main__")


@pytest.fixture
def cli(ranks, made_up_cli):
    """Return a function that runs the command line on two ranks, or as many as have arguments."""

    def run(*by_rank: tuple[str, ...], hook: str = "-"):
        _, script, constants, *_ = made_up_cli()
        return ranks(typed, script, constants, hook, *map(list, by_rank), size=len(by_rank))

    return run


def the_mistake(found) -> str:
    """The one line that all ranks have to say; anything else fails here."""
    assert [rank.status for rank in found] == [2] * len(found), found
    first, *others = found
    assert [(rank.out, rank.err) for rank in others] == [("", "")] * len(others)
    (line,) = first.err.splitlines()
    assert line.startswith("cifar-lessons: ")
    return line.removeprefix("cifar-lessons: ")


# --- a run ----------------------------------------------------------------------------------------


def test_two_processes_make_one_run(cli, tmp_path):
    arguments = (*TINY, "--out", str(tmp_path / "two"))
    first, second = cli(arguments, arguments)
    assert (first.status, second.status) == (0, 0), (first, second)
    assert (first.err, second.err, second.out) == ("", "", "")  # rank 0 speaks for both
    lines = first.out.splitlines()
    assert lines[0].startswith("resnet18_w16 seed 0 on cpu, fp32, 2 processes -> ")
    assert [line[:9] for line in lines[1:3]] == ["epoch 1/2", "epoch 2/2"]
    assert lines[3].startswith("test accuracy ")

    folder = tmp_path / "two" / RUN
    assert sorted(p.name for p in folder.iterdir()) == [
        *("history.csv", "run.json", "test_logits.npz", "val_logits.npz", "weights.safetensors")
    ]
    facts = json.loads((folder / "run.json").read_text())["provenance"]
    assert (facts["world_size"], facts["backend"], facts["threads"]) == (2, "gloo", 1)

    # The same command again, and the same run in one process.
    again = cli(arguments, arguments)
    assert [rank.status for rank in again] == [0, 0]
    assert "already finished" in again[0].out
    [alone] = cli((*TINY, "--out", str(tmp_path / "one")))
    assert alone.status == 0, alone
    assert ", fp32 -> " in alone.out
    one, two = (runs.read_run(tmp_path / name / RUN) for name in ("one", "two"))
    assert (one.provenance["world_size"], "backend" in one.provenance) == (1, False)
    assert one.recipe == two.recipe
    np.testing.assert_allclose(two.logits().logits, one.logits().logits, atol=2e-3)  # float16
    for ours, theirs in zip(two.history, one.history, strict=True):
        seconds = {"seconds": ours["seconds"]}
        assert ours == pytest.approx({**theirs, **seconds}, rel=1e-4)


def test_two_processes_train_each_fold_together(cli, tmp_path):
    options = [a for a in TINY if "val_size" not in a]
    arguments = (*options, "--folds=2", "--out", str(tmp_path / "two"))
    first, second = cli(arguments, arguments)
    assert (first.status, second.status) == (0, 0), (first, second)
    assert (first.err, second.err, second.out) == ("", "", "")
    assert first.out.splitlines()[-1].startswith("2 folds: held-out accuracy ")
    [alone] = cli((*options, "--folds=2", "--out", str(tmp_path / "one")))
    assert alone.status == 0, alone
    for key in ("seed0-fold0", "seed0-fold1"):
        one, two = (runs.read_run(tmp_path / n / RUN.with_name(key)) for n in ("one", "two"))
        assert two.provenance["world_size"] == 2
        assert one.index().tolist() == two.index().tolist()
        np.testing.assert_allclose(two.logits("val").logits, one.logits("val").logits, atol=2e-3)


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        # On both ranks alike.
        (["--set=optim.peak_lr=-1"], None, "optim.peak_lr must be in (0, 100], got -1.0"),
        (["--set=batch_size=25"], None, "25 images does not split into 2 equal parts; start 1 or"),
        (["--out=OUT/file"], None, "cannot write OUT/file/resnet18_w16/seed0: "),
        (["--folds=1"], None, "--folds must be in [2, 50], got 1"),
        (["--folds=30"], None, "30 folds of 120 images need 30 images of the smallest class"),
        (["--folds=2", "--out=OUT/file"], None, "cannot write OUT/file/resnet18_w16/seed0-fold0: "),
        # On one of them.
        (["--folds=2"], ["--folds=3"], "rank 1 works on another folds: ["),
        (["--seed=1"], [], "rank 1 works on another seed: 0, on rank 0 1; give every machine"),
        ([], ["--set=epochs=3"], "rank 1 works on another epochs: 3, on rank 0 2; give every"),
        ([], ["--data=OUT/nothing"], "rank 1: no cifar10 in OUT/nothing/cifar-10-batches-py: "),
        (["--device=cuda"], [], "rank 0: no 'cuda' device here (found: cpu only)"),
        ([], ["--set=model.name=resnet81"], "rank 1 works on another model.name: 'resnet81'"),
    ],
)
def test_a_mistake_ends_all_ranks_and_is_told_once(cli, tmp_path, first, second, said):
    (tmp_path / "file").write_text("")
    by_rank = [
        (*TINY, "--out", str(tmp_path / "out"), *(a.replace("OUT", str(tmp_path)) for a in extra))
        for extra in (first, first if second is None else second)
    ]
    assert said.replace("OUT", str(tmp_path)) in the_mistake(cli(*by_rank))


def test_another_commit_on_one_machine_is_told(ranks, made_up_cli, tmp_path):
    _, script, constants, *_ = made_up_cli()
    arguments = [*TINY, "--out", str(tmp_path)]
    said = the_mistake(ranks(with_a_commit_each, script, constants, arguments))
    assert said.startswith("rank 1 works on another commit: 'commit 1', on rank 0 'commit 0'; give")


def with_a_commit_each(script: str, constants: str, arguments: list[str]) -> None:
    original = origins.provenance

    def provenance(**facts):
        commit = f"commit {os.environ['RANK']}"
        return original(**facts) | {"git_commit": commit, "git_dirty": False}

    origins.provenance = provenance
    typed(script, constants, "-", arguments, arguments)


def test_a_full_disk_ends_all_ranks(cli, tmp_path):
    """Rank 0 alone writes; the others learn of it, and the last whole checkpoint stands."""
    arguments = (*TINY, "--out", str(tmp_path))
    said = the_mistake(cli(arguments, arguments, hook="full:2"))
    assert f"cannot write {tmp_path / RUN / 'checkpoint.pt'}: No space left on device" in said
    assert "run the same command again; what was saved before is intact" in said
    assert sorted(p.name for p in (tmp_path / RUN).iterdir()) == [".running", "checkpoint.pt"]
    again = cli(arguments, arguments)
    assert [rank.status for rank in again] == [0, 0], again
    assert "resuming at epoch 2" in again[0].out
