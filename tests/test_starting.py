"""Mirrors cifar_lessons/starting.py: from features without labels to a run that begins so."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cifar_lessons import building, experiment, recipes, recording, runs
from cifar_lessons.config import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimConfig,
    PairConfig,
    Recipe,
    SimClr,
    VicReg,
)
from cifar_lessons.data.cifar import Cifar, synthetic
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import accuracy
from cifar_lessons.runtime import Runtime
from cifar_lessons.starting import start_of

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
NETWORK = {"widths": [4, 4, 8, 8], "pools": 4, "batch_norm": True}
PRE = Recipe(
    name="pre",
    model=ModelConfig(name="deep_cnn", options=NETWORK),
    data=DataConfig(pair=PairConfig(side=32)),
    objective=SimClr(hidden=16, out=8),
    optim=OptimConfig(name="adamw", peak_lr=1e-3),
    epochs=2,
    batch_size=20,
    seeds=1,
    validate_every=2,
    keep_weights=True,
)
TUNED = dataclasses.replace(
    PRE,
    name="tuned",
    data=DataConfig(label_share=0.5, augment=AugmentConfig(flip="random")),
    objective=Recipe(name="x", model=PRE.model).objective,
    init="pre",
    seeds=3,
    validate_every=1,
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch, tmp_path):
    monkeypatch.setitem(recipes.RECIPES, "pre", lambda: PRE)
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path / "recorded"))


@pytest.fixture(scope="module")
def data() -> Cifar:
    """Passes for real data."""
    made_up = synthetic(num_train=100, num_test=30, val_size=20)
    return dataclasses.replace(made_up, digest="a digest", official_order=True)


def train(recipe: Recipe, data: Cifar, out: Path, *, seed: int = 0, **more) -> Path | None:
    start = start_of(recipe, out=out)
    return experiment.run(
        recipe,
        seed=seed,
        out=out / recipe.name / f"seed{seed}",
        data=data,
        runtime=FP32,
        progress=False,
        **{"start": start, **more},
    )


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    """A folder of outputs with a pre-trained network in it."""
    out = tmp_path_factory.mktemp("outputs")
    assert train(PRE, data, out) is not None
    return out


def test_a_run_without_labels_says_what_neighbours_vote(data, trained):
    run = runs.read_run(trained / "pre" / "seed0")
    assert run.kind == "pretrain"
    assert run.final["test_accuracy"] == accuracy(run.logits("test"))
    model = building.load_encoder(run, FP32)
    votes = experiment.vote(model, data, PRE, runtime=FP32, splits=("test", "val"))
    for split, found in votes.items():
        np.testing.assert_allclose(run.logits(split).logits, found.logits, atol=0.02)
    assert [("val_accuracy" in row) for row in run.history] == [False, True]
    assert run.history[-1]["val_accuracy"] == pytest.approx(run.final["val_accuracy"], abs=0.06)
    assert {"train_partners", "train_spread"} < set(run.history[0])


def test_it_keeps_the_encoder_alone(data, trained):
    run = runs.read_run(trained / "pre" / "seed0")
    weights = load_file(run.folder / "weights.safetensors")
    assert not [name for name in weights if name.startswith(("head.", "projector", "encoder"))]
    new = building.new_model(PRE, seed=0, num_classes=10, runtime=FP32)
    assert run.parameters == sum(
        p.numel() for name, p in new.named_parameters() if not name.startswith("head.")
    )


def test_it_is_no_classifier(trained):
    run = runs.read_run(trained / "pre" / "seed0")
    with pytest.raises(UserError, match="pre has learned features and no classes; name a run"):
        building.load_model(run, FP32)


def test_a_run_begins_with_its_features_and_says_so(data, trained):
    start = start_of(TUNED, out=trained)
    assert start is not None
    begun = building.ready_model(TUNED, data, seed=1, runtime=FP32, start=start)
    new = building.new_model(TUNED, seed=1, num_classes=10, runtime=FP32)
    for name, value in begun.state_dict().items():
        theirs = new.state_dict() if name.startswith("head.") else start.weights
        torch.testing.assert_close(value, theirs[name])
    folder = train(TUNED, data, trained, seed=1)
    assert folder is not None
    facts = json.loads((folder / "run.json").read_text())
    assert facts["kind"] == "train"
    assert facts["provenance"]["init"] == {"name": "pre seed0", "digest": start.digest}


def test_the_seed_draws_the_labelled_images(data, trained, monkeypatch):
    seen = []

    class Watched(experiment.TrainLoader):
        def __init__(self, split, *arguments, **named):
            seen.append(set(split.index.tolist()))
            super().__init__(split, *arguments, **named)

    monkeypatch.setattr(experiment, "TrainLoader", Watched)
    short = dataclasses.replace(TUNED, epochs=1, init=None)
    for seed in (0, 0, 1):
        experiment.train(short, data, seed=seed, runtime=FP32, progress=False)
    assert [len(s) for s in seen] == [40, 40, 40]
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize("objective", [PRE.objective, VicReg(hidden=16, out=8)])
def test_a_run_without_labels_that_is_stopped_ends_as_an_undisturbed_one(data, tmp_path, objective):
    recipe = dataclasses.replace(PRE, objective=objective, ema_decay=0.5)
    whole = train(recipe, data, tmp_path / "whole")
    stopped = train(recipe, data, tmp_path / "cut", deadline=0.0)
    assert stopped is None
    cut = train(recipe, data, tmp_path / "cut")
    assert whole is not None
    assert cut is not None
    for name in ("weights.safetensors", "test_logits.npz"):
        assert (whole / name).read_bytes() == (cut / name).read_bytes(), name


def test_nothing_is_needed_where_weights_begin_at_random(tmp_path):
    assert start_of(PRE, out=tmp_path) is None


def test_a_beginning_that_is_not_there_is_told_with_the_command(tmp_path):
    with pytest.raises(UserError) as error:
        start_of(TUNED, out=tmp_path)
    assert str(error.value) == (
        "pre, the beginning of tuned, is not trained yet: "
        f"`cifar-lessons train pre --out {tmp_path}` comes first"
    )


def test_an_unknown_beginning_is_told(tmp_path):
    with pytest.raises(UserError, match="no recipe 'prr'"):
        start_of(dataclasses.replace(TUNED, init="prr"), out=tmp_path)


def test_another_network_is_told(data, trained):
    other = ModelConfig(name="deep_cnn", options={**NETWORK, "widths": [4, 4, 8, 16]})
    wider = dataclasses.replace(TUNED, model=other)
    with pytest.raises(UserError, match="pre seed0 are of another network than tuned's"):
        experiment.train(
            wider, data, seed=0, runtime=FP32, progress=False, start=start_of(wider, out=trained)
        )


def test_training_without_the_weights_is_told(data):
    with pytest.raises(UserError, match="`cifar-lessons train tuned` finds them"):
        experiment.train(TUNED, data, seed=0, runtime=FP32, progress=False)


def test_a_network_for_32_pixels_refuses_smaller_views(data):
    small = dataclasses.replace(PRE, data=DataConfig(pair=PairConfig(side=24)))
    with pytest.raises(UserError, match=r"data\.pair\.side 24; try --set data\.pair\.side=32"):
        experiment.train(small, data, seed=0, runtime=FP32, progress=False)


def test_a_recorded_beginning_comes_before_ones_own(data, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "require_presentable", lambda run, mend: None)
    recorded = recording.record(PRE, seed=0, outputs=trained)
    assert recorded.weights is not None
    start = start_of(TUNED, out=tmp_path / "elsewhere")
    assert start is not None
    assert start.digest == recorded.weights["sha256"]
    assert {t.dtype for t in start.weights.values()} <= {torch.float32, torch.int64}


# --- the command line ------------------------------------------------------------------------


def test_evaluate_shows_the_stored_votes_of_a_network_without_classes(trained, typed):
    answer = typed("evaluate", str(trained / "pre" / "seed0"))
    assert answer.status == 0, answer.err
    assert "pre seed0, from stored logits" in answer.out
    mistake = typed("evaluate", str(trained / "pre" / "seed0"), "--tta", "flip").mistake
    assert mistake.startswith("pre has learned features and no classes")


def test_folds_cannot_begin_with_features_that_saw_what_they_hold_out(trained, typed, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "tuned", lambda: TUNED)
    for verb in (("train", "tuned", "--folds", "2"), ("folds", "tuned")):
        assert typed(*verb, "--out", str(trained)).mistake == (
            "folds of tuned cannot begin with pre: it has seen the images that they hold out; try "
            "--set init=null"
        )


def test_a_beginning_is_told_on_the_command_line_before_data_is_read(typed, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "tuned", lambda: TUNED)
    mistake = typed("train", "tuned").mistake
    assert mistake == (
        "pre, the beginning of tuned, is not trained yet: "
        "`cifar-lessons train pre --out outputs` comes first"
    )


def test_the_command_line_trains_without_labels_and_goes_on_from_there(
    typed, monkeypatch, tiny_official
):
    """On 120 images in the official files; the few that are labelled are still of every class."""
    small = dataclasses.replace(PRE, data=dataclasses.replace(PRE.data, val_size=20), epochs=1)
    monkeypatch.setitem(recipes.RECIPES, "pre", lambda: small)
    data = dataclasses.replace(TUNED.data, val_size=20)
    tuned = dataclasses.replace(TUNED, data=data, epochs=1)
    monkeypatch.setitem(recipes.RECIPES, "tuned", lambda: tuned)
    where = ("--data", str(tiny_official.root), "--precision", "fp32")
    first = typed("train", "pre", *where)
    assert first.status == 0, first.err
    assert "nearest neighbours' test accuracy" in first.out
    second = typed("train", "tuned", *where)
    assert second.status == 0, second.err
    mistake = typed(
        "train", "tuned", "--seed", "1", "--set", "data.label_share=0.01", *where
    ).mistake
    assert mistake == (
        "data.label_share 0.01 leaves no image of a class with 10; try data.label_share=0.1"
    )
