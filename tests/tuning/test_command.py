"""Mirrors cifar_lessons/tuning/command.py: the command, and what it says to a wrong input."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from command_line import Type

TINY = (
    *("tuning_base", "--set=model.options.widths=[4,4,4,4]", "--set=model.options.hidden=8"),
    *("--set=data.val_size=20", "--set=epochs=1", "--range=batch_size=16..32"),
    *("--threads=1", "--precision=fp32", "--trials=2"),
)
JOURNAL = Path("outputs/tune/tuning_base.journal")


@pytest.fixture
def tune(typed, tiny_official) -> Type:
    """Return `tune` of a tiny network, on made-up data, a trial in less than a second."""
    return lambda *more: typed("tune", *TINY, "--data", str(tiny_official.root), *more)


def test_a_search_from_start_to_end_and_on(tune, typed, tiny_official):
    status, out, err = tune()
    assert (status, err) == (0, "")
    head, first, second, summary, best, train = out.splitlines()
    assert head == f"tuning tuning_base on cpu, fp32 -> {JOURNAL}"
    assert (first[:7], second[:7]) == ("trial 0", "trial 1")
    assert summary == "2 of 2 trials: 2 complete, 0 pruned, 0 diverged, 0 failed"
    assert re.match(r"best: trial [01], validation accuracy [\d.]+ % \(too high by chance", best)
    command = train.removeprefix("train with them: cifar-lessons train tuning_base ")
    assert command.count("--set ") == 3

    # The command that it prints trains what the best trial trained.
    more = ("--set=epochs=1", "--set=model.options.widths=[4,4,4,4]", "--set=data.val_size=20")
    trained = typed(
        "train", "tuning_base", *shlex.split(command), *more, "--data", str(tiny_official.root)
    )
    assert trained[0] == 0, trained

    status, out, _ = tune("--trials=3")  # the same search goes on
    assert [line[:7] for line in out.splitlines()[1:2]] == ["trial 2"]
    assert "3 of 3 trials: 3 complete" in out


def test_repeats_follow_the_search(tune):
    status, out, err = tune("--trials=1", "--repeat=2")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert "the best settings and the article's, 2 seeds each" in lines
    labels = [line[2:20].strip() for line in lines if "on average over 2 seeds" in line]
    assert labels == ["best", "advice: 128, 0.1", "advice: middle", "advice: 256, 0.01"]


def test_another_search_in_the_same_place_is_refused(tune):
    tune("--trials=1")
    said = tune("--set=epochs=2").mistake
    assert f"study 'tuning_base' in {JOURNAL} is another search (epochs: recorded 1, now 2)" in said
    assert "choose another name with --study, or another --storage" in said
    assert "(range of optim.peak_lr: recorded" in tune("--range=optim.peak_lr=0.1..1").mistake
    assert "(seed: recorded 0, now 4)" in tune("--seed=4").mistake
    assert tune("--set=epochs=2", "--study=longer", "--trials=1")[0] == 0


def test_a_search_with_changed_settings_is_not_recorded(tune, tmp_path):
    said = tune("--trials=1", "--repeat=2", "--record").mistake
    assert "a search of tuning_base with other settings (" in said
    assert not (tmp_path / "runs").exists()


def test_a_deadline_stops_it_and_the_same_command_goes_on(tune):
    status, out, _ = tune("--seconds=1e-9")
    assert status == 0
    assert out.splitlines()[-1] == (
        "0 of 2 trials: 0 complete, 0 pruned, 0 diverged, 0 failed; stopped by the deadline, the "
        "same command goes on"
    )
    assert "2 of 2 trials" in tune()[1]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("tune", "Missing from cifar-lessons tune: RECIPE"),
        ("tune tunning_base", "no recipe 'tunning_base': did you mean 'tuning_base'"),
        ("tune tuning_base --trials 0", "--trials must be >= 1, got 0; try --trials 48"),
        ("tune tuning_base --trials many", "Error parsing --trials"),
        ("tune tuning_base --seconds 0", "--seconds must be > 0, got 0"),
        ("tune tuning_base --seconds nan", "--seconds must be > 0, got nan"),
        ("tune tuning_base --seed -1", "--seed must be >= 0, got -1"),
        ("tune tuning_base --threads 0", "--threads must be in [1, 256], got 0"),
        ("tune tuning_base --repeat -1", "--repeat must be >= 0, got -1"),
        ("tune tuning_base --record", "got --repeat 0; try --repeat 5"),
        ("tune tuning_base --range optim.peak_lr", "--range needs FIELD=LOW..HIGH"),
        ("tune tuning_base --range optim.lr=0..1", "unknown field 'optim.lr'"),
        ("tune tuning_base --set epochs", "--set needs FIELD=VALUE"),
        ("tune tuning_base --device toaster", "must be auto, cpu, cuda or mps, got 'toaster'"),
        ("tune tuning_base", "no cifar10 in "),
    ],
)
def test_a_mistake_gets_one_line(typed, tmp_path, line, said):
    assert said in typed(*shlex.split(line)).mistake
    assert not (tmp_path / "outputs").exists()


def test_a_recipe_without_validation_images_cannot_be_tuned(tune):
    assert "holds out no validation images" in tune("--set=data.val_size=0").mistake


def test_a_storage_that_cannot_be_reached(tune, tmp_path):
    (tmp_path / "text").write_text("no journal")
    assert "it is no journal of Optuna" in tune("--storage=text").mistake
    said = tune("--storage=mysql+nodriver://me:s3cret@host/tune").mistake
    assert "storage mysql+nodriver://me:***@host/tune cannot be used (" in said
    assert "s3cret" not in said


def test_without_optuna_it_says_what_to_install(typed, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    said = typed("tune", "tuning_base").mistake
    assert said.endswith("not installed: pip install 'cifar-lessons[tune]'")


def test_what_is_kept_names_versions_and_no_place(tune, tmp_path):
    tune("--trials=1", f"--storage={tmp_path}/mine.journal")
    text = (tmp_path / "mine.journal").read_text()
    [facts] = [
        value
        for line in text.splitlines()
        for key, value in json.loads(line).get("user_attr", {}).items()
        if key.startswith("process ")
    ]
    assert set(facts["packages"]) >= {"optuna", "scikit-learn", "torch"}
    assert str(tmp_path) not in facts["command"]
    assert facts["command"].startswith("cifar-lessons tune tuning_base ")
    assert re.fullmatch(r"[0-9a-f]{32}", facts["data_digest"])
