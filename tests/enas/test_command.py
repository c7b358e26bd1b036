"""Mirrors cifar_lessons/enas/command.py: the command, and what it says to a wrong input."""

import subprocess

import pytest

TINY = (
    *("enas_search", "--set=model.options.width=4", "--set=data.val_size=20", "--set=epochs=1"),
    *("--set=objective.layers=3", "--set=objective.updates_per_epoch=2", "--set=batch_size=20"),
    *("--set=objective.rewards_per_update=2", "--set=objective.candidates=3", "--threads=1"),
    "--precision=fp32",
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("simple_cnn",), "simple_cnn trains a network, it does not search for one; try `cifar-l"),
        (("enas_serach",), "no recipe 'enas_serach': did you mean 'enas_search'"),
        (("--seconds=0",), "--seconds must be > 0, got 0; try --seconds 600"),
        (("--seed=-1",), "--seed must be >= 0, got -1; try --seed 0"),
        (("--threads=0",), "--threads must be in [1, 256], got 0"),
        (("--set=objective.layers=2",), "objective.layers must be in [3, 24], got 2; try 6"),
        (("--set=objective.skip_target=1",), "objective.skip_target must be in (0, 1), got 1.0"),
        (("--set=objective.controller=dice",), "must be one of 'reinforce', 'uniform', got 'dice'"),
        (("--set=data.val_size=0", "--data=x"), "cifar-lessons data"),
        (("--set=model.name=resnet18",), "model.name must be 'enas' in a search, got 'resnet18'"),
        (("--set=ema_decay=0.9",), "ema_decay must be null in a search, got 0.9"),
        (("--set=optim.schedule.name=plateau",), "try cosine_restarts"),
    ],
)
def test_a_mistake_is_one_line_with_the_mend(typed, arguments, message):
    assert message in typed("search", *arguments).mistake


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("width=0", "model 'enas': width must be >= 1, got 0"),
        ("width=wide", "option 'width' of model 'enas' must be like its default 24"),
        ("widht=4", "unknown option 'widht' of model 'enas'"),
        ("architecture=c3/c3/c3", "a search finds model.options.architecture; leave it out"),
    ],
)
def test_options_of_the_network_are_checked(typed, tiny_official, option, message):
    found = typed("search", "enas_search", "--data", str(tiny_official.root),
                  "--set=data.val_size=20", f"--set=model.options.{option}")  # fmt: skip
    assert message in found.mistake


def test_training_a_search_is_told_before_anything_is_loaded(typed, tiny_official):
    found = typed("train", "enas_search", "--data", str(tiny_official.root),
                  "--set=data.val_size=20")  # fmt: skip
    assert "searches for a network instead of training one; try `cifar-lessons search" in (
        found.mistake
    )


def test_training_what_is_not_found_yet_is_told(typed, tiny_official):
    found = typed("train", "enas_found", "--data", str(tiny_official.root),
                  "--set=data.val_size=20")  # fmt: skip
    assert "not found yet: `cifar-lessons search enas_search` first" in found.mistake


def test_an_architecture_that_does_not_parse_is_told(typed, tiny_official):
    found = typed("train", "enas_conv3", "--data", str(tiny_official.root),
                  "--set=data.val_size=20",
                  "--set=model.options.architecture=c3/c9/c3")  # fmt: skip
    assert "layer 2 of 'c3/c9/c3': unknown operation 'c9'; try one of c3" in found.mistake


def test_a_whole_search_stops_goes_on_and_says_what_it_found(made_up_cli, tiny_files, tmp_path):
    command = made_up_cli(
        "search", *TINY, "--data", str(tiny_files.root), "--out", str(tmp_path / "out")
    )
    first = subprocess.run([*command, "--seconds=0.001"], capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    assert "stopped by the deadline and saved: the same command continues" in first.stdout
    second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 0, second.stderr
    assert "resuming at epoch 1, step 1" in second.stdout
    assert "of the validation images with shared weights, best of" in second.stdout
    other = subprocess.run([*command, "--set=objective.layers=4"], capture_output=True, text=True)
    assert other.returncode == 2
    assert "holds a finished run with other settings (objective.layers" in other.stderr
