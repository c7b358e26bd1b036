"""Mirrors cifar_lessons/experiment.py: whole runs, a second long, on made-up data."""

import dataclasses
import inspect
import json
import time
from pathlib import Path

import pytest
import torch

from cifar_lessons import building, experiment, runs
from cifar_lessons.atomic import RUNNING
from cifar_lessons.config import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    MuonConfig,
    OptimConfig,
    Recipe,
    ScheduleConfig,
    ViewsConfig,
)
from cifar_lessons.data.cifar import Cifar, synthetic
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import accuracy, negative_log_likelihood
from cifar_lessons.fields import override, to_dict
from cifar_lessons.objectives.base import StepOutput
from cifar_lessons.runtime import Runtime
from cifar_lessons.training import checkpoint as checkpoints

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
RECIPE = Recipe(
    name="tiny",
    model=ModelConfig(
        name="deep_cnn", options={"widths": [4, 4, 8, 8], "pools": 4, "batch_norm": True}
    ),
    data=DataConfig(augment=AugmentConfig(flip="random")),
    optim=OptimConfig(peak_lr=0.05),
    epochs=2,
    batch_size=20,
    ema_decay=0.5,
)


@pytest.fixture(scope="module")
def data() -> Cifar:
    """Passes for real data."""
    made_up = synthetic(num_train=120, num_test=50, val_size=20)
    return dataclasses.replace(made_up, digest="a digest", official_order=True)


def run(data: Cifar, out: Path, recipe: Recipe = RECIPE, *, seed: int = 0, **kwargs) -> Path | None:
    arguments = {"runtime": FP32, "command": "typed", "progress": False, **kwargs}
    return experiment.run(recipe, seed=seed, out=out, data=data, **arguments)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> Path:
    """One finished run, shared: don't change it."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("outputs") / "tiny" / "seed0"
    assert run(data, out) == out
    return out


# --- what a run leaves behind -----------------------------------------------------------------


def test_the_folder_holds_a_whole_run_and_no_more(finished):
    assert sorted(p.name for p in finished.iterdir()) == [
        *("history.csv", "run.json", "test_logits.npz", "val_logits.npz", "weights.safetensors")
    ]


def test_final_numbers_are_those_of_the_stored_logits(finished):
    found = runs.read_run(finished)
    assert found.final == {
        f"{split}_{name}": metric(found.logits(split))
        for split in ("test", "val")
        for name, metric in (("accuracy", accuracy), ("loss", negative_log_likelihood))
    }


def test_run_json_says_what_was_done(finished, data):
    content = json.loads((finished / "run.json").read_text())
    assert content["recipe"] == json.loads(json.dumps(to_dict(RECIPE)))
    assert (content["schema"], content["kind"], content["seed"]) == (1, "train", 0)
    assert content["parameters"] == sum(
        p.numel()
        for p in building.new_model(RECIPE, seed=0, num_classes=10, runtime=FP32).parameters()
    )
    facts = content["provenance"]
    assert facts["command"] == "typed"
    assert facts["data_digest"] == "a digest"
    assert facts["precision"] == "fp32"
    assert facts["threads"] == 1
    assert facts["train_seconds"] > 0
    assert facts["git_commits"] == [facts["git_commit"] + "+dirty" * facts["git_dirty"]]
    assert content["official_order"] is True


def test_history_has_a_row_an_epoch(finished):
    history = runs.read_run(finished).history
    assert [row["epoch"] for row in history] == [1, 2]
    assert {"lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy"} <= set(history[0])


def test_without_a_validation_split_none_is_stored(data, tmp_path):
    whole = dataclasses.replace(data, val=data.val[:0])
    out = run(whole, tmp_path / "run", override(RECIPE, "epochs=1"))
    assert out is not None
    assert not (out / "val_logits.npz").exists()
    assert set(runs.read_run(out).final) == {"test_accuracy", "test_loss"}


# --- again ------------------------------------------------------------------------------------


def test_a_finished_run_is_not_run_again(finished, data, capsys):
    before = {p.name: p.stat().st_mtime_ns for p in finished.iterdir()}
    assert run(data, finished, progress=True) == finished
    assert capsys.readouterr().out == f"already finished: {finished}\n"
    assert {p.name: p.stat().st_mtime_ns for p in finished.iterdir()} == before


@pytest.mark.parametrize(
    ("assignment", "seed", "said"),
    [
        ("optim.peak_lr=0.1", 0, "optim.peak_lr: recorded 0.05, now 0.1"),
        ("model.options.pools=3", 0, "model.options.pools: recorded 4, now 3"),
        ("epochs=2", 1, "seed: recorded 0, now 1"),
    ],
)
def test_a_finished_run_with_other_settings_is_kept(finished, data, assignment, seed, said):
    before = (finished / "run.json").read_bytes()
    with pytest.raises(UserError) as error:
        run(data, finished, override(RECIPE, assignment), seed=seed)
    assert str(error.value) == (
        f"{finished} holds a finished run with other settings ({said}); delete it, or choose "
        "another folder with --out"
    )
    assert (finished / "run.json").read_bytes() == before


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(finished, data, tmp_path):
    again, other = (run(data, tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert again is not None
    assert other is not None
    for name in ("weights.safetensors", "test_logits.npz"):
        assert (again / name).read_bytes() == (finished / name).read_bytes()
        assert (other / name).read_bytes() != (finished / name).read_bytes()


def test_a_stopped_run_is_unfinished_until_the_same_call_ends_it(finished, data, tmp_path, capsys):
    out = tmp_path / "run"
    assert run(data, out, deadline=time.monotonic() - 1, progress=True) is None
    assert (
        "stopped by the deadline and saved: the same command continues" in capsys.readouterr().out
    )
    assert sorted(p.name for p in out.iterdir()) == [RUNNING, "checkpoint.pt"]
    assert run(data, out) == out
    assert (out / "weights.safetensors").read_bytes() == (
        finished / "weights.safetensors"
    ).read_bytes()
    assert not (out / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("assignment", "seed", "runtime", "said"),
    [
        ("optim.peak_lr=0.1", 0, FP32, "optim.peak_lr: saved 0.05, now 0.1"),
        ("data.augment.flip=none", 0, FP32, "data.augment.flip: saved 'random', now 'none'"),
        ("epochs=2", 1, FP32, "seed: saved 0, now 1"),
        ("revision=2", 0, FP32, "revision: saved 1, now 2"),
        (
            "epochs=2",
            0,
            dataclasses.replace(FP32, precision="bf16"),
            "precision: saved 'fp32', now 'bf16'",
        ),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(data, tmp_path, assignment, seed, runtime, said):
    out = tmp_path / "run"
    run(data, out, deadline=time.monotonic() - 1)
    with pytest.raises(UserError) as error:
        run(data, out, override(RECIPE, assignment), seed=seed, runtime=runtime)
    assert said in str(error.value)
    assert "choose another folder with --out" in str(error.value)


BF16 = dataclasses.replace(FP32, precision="bf16")


def test_a_recipe_that_fixes_its_precision_computes_in_it(finished, data, tmp_path):
    """Whatever the runtime would take, and the numbers are those of that precision."""
    out = tmp_path / "run"
    assert run(data, out, override(RECIPE, "precision=fp32"), runtime=BF16) == out
    assert runs.read_run(out).provenance["precision"] == "fp32"
    same = [(folder / "weights.safetensors").read_bytes() for folder in (out, finished)]
    assert same[0] == same[1]


def test_a_checkpoint_from_before_there_was_that_field_is_resumed(data, tmp_path):
    """It says in which precision it was made, which is what counts."""
    out = tmp_path / "run"
    run(data, out, deadline=time.monotonic() - 1)
    saved = checkpoints.load(out / "checkpoint.pt")["identity"]
    assert saved["precision"] == "fp32"
    assert run(data, out, override(RECIPE, "precision=fp32")) == out


def test_a_checkpoint_made_on_other_data_is_refused(data, tmp_path):
    out = tmp_path / "run"
    run(data, out, deadline=time.monotonic() - 1)
    with pytest.raises(UserError, match=r"data: saved 'a digest', now 'another'"):
        run(dataclasses.replace(data, digest="another"), out)


def test_an_option_that_is_no_longer_set_is_another_run(data, tmp_path):
    """Dropping it leaves weights of the same shapes, which would load without a word."""
    out = tmp_path / "run"
    recipe = dataclasses.replace(RECIPE, model=ModelConfig(name="resnet18", options={"width": 4}))
    without = override(recipe, "model.options.skip=false")
    run(data, out, without, deadline=time.monotonic() - 1)
    with pytest.raises(UserError, match=r"model.options.skip: saved False, now not set"):
        run(data, out, recipe)


def test_what_moves_no_weight_may_change_between_two_sittings(data, tmp_path):
    out = tmp_path / "run"
    run(data, out, deadline=time.monotonic() - 1)
    assert run(data, out, dataclasses.replace(RECIPE, about="better said", seeds=9)) == out


def test_what_a_process_left_that_was_killed_at_the_very_end_is_cleared(finished, data, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    for path in finished.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    (out / "checkpoint.pt").write_bytes(b"of no use any more")
    assert run(data, out) == out
    assert not (out / "checkpoint.pt").exists()


# --- the test split ---------------------------------------------------------------------------


def test_training_never_sees_the_test_split(data, monkeypatch):
    """`train` gets the whole set for its validation split: it must not touch the third."""

    class Untouchable:
        def __getattr__(self, name):
            raise AssertionError(f"the test split was asked for its {name}")

        __len__ = __getitem__ = __getattr__

    hidden = dataclasses.replace(data, test=Untouchable())
    result = experiment.train(RECIPE, hidden, seed=0, runtime=FP32, progress=False)
    assert result.finished
    assert "checkpoint" in inspect.signature(experiment.train).parameters


# --- what goes wrong --------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_told_before_any_work(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as error:
        run(data, tmp_path / "file" / "run", override(RECIPE, "epochs=10000"))
    assert str(error.value).startswith(f"cannot write {tmp_path / 'file' / 'run'}: ")
    assert str(error.value).endswith("choose another folder with --out")


def test_a_network_that_diverges_in_its_last_step_is_told(data, tmp_path, monkeypatch):
    """Its loss was still a number; the first to meet the NaN is the validation."""

    def finite_loss_with_a_nan_gradient(**_):
        def objective(model, batch):
            loss = model(batch.images).float().mean()
            poison = (0 * next(model.parameters()).sum()).sqrt()  # 0, with gradient 0 / 0
            return StepOutput(loss + poison, {"loss": loss.detach()})

        return objective

    monkeypatch.setattr(experiment, "SupervisedObjective", finite_loss_with_a_nan_gradient)
    one_step = override(override(RECIPE, "batch_size=100"), "epochs=1")
    with pytest.raises(FloatingPointError, match="gives NaN or infinity for 20 of 20 images"):
        run(data, tmp_path / "run", dataclasses.replace(one_step, ema_decay=None))
    assert [p.name for p in (tmp_path / "run").iterdir()] == [RUNNING]


# --- a recipe with everything that the speedrun needs -------------------------------------------

SPEEDRUN = Recipe(
    name="tiny_speedrun",
    model=ModelConfig(name="speednet", options={"widths": [24, 24, 24], "norm_momentum": 0.1}),
    data=DataConfig(augment=AugmentConfig(flip="alternating", crop_padding=2), sizes=((0.5, 16),)),
    optim=OptimConfig(
        name="muon",
        peak_lr=0.1,
        momentum=0.6,
        weight_decay=0.004,
        schedule=ScheduleConfig(name="linear"),
        muon=MuonConfig(bias_lr=1.0, stem_share=0.6),
    ),
    epochs=2,
    batch_size=25,
    micro_batch=10,
    views=ViewsConfig(name="flip_shift", hardest=0.5),
)


def test_a_speedrun_stopped_at_every_step_ends_as_an_undisturbed_one(data, tmp_path):
    """Sizes, parts, resting weights and Muon's state are all functions of the step, or saved."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(data, whole, SPEEDRUN) == whole
    sittings = 1
    while run(data, cut, SPEEDRUN, deadline=time.monotonic()) is None:
        sittings += 1
    assert sittings == 8  # two epochs of four steps
    for name in ("weights.safetensors", "test_logits.npz", "test_views_logits.npz"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_the_views_are_scored_beside_the_plain_look(data, tmp_path):
    out = run(data, tmp_path / "run", SPEEDRUN)
    found = runs.read_run(out)
    plain, views = found.logits("test"), found.logits("test_views")
    assert found.final["test_views_accuracy"] == accuracy(views)
    assert found.final["test_accuracy"] == accuracy(plain)
    assert (plain.logits != views.logits).any(axis=1).mean() == 0.5
    assert found.provenance["views_seconds"] >= 0
    # Of a run whose stem rests at the end, what rests counts as trained.
    assert found.parameters == building.num_parameters(
        building.new_model(SPEEDRUN, seed=0, num_classes=10, runtime=FP32)
    )
    assert set(found.final) == {
        f"{split}_{name}"
        for split in ("test", "test_views", "val", "val_views")
        for name in ("accuracy", "loss")
    }


def test_the_stem_looks_at_training_images_alone(data):
    """It is fixed before training: what it saw then is all that it ever sees."""
    other = dataclasses.replace(data, val=data.val[:5], test=data.test[:5])
    kwargs = {"seed": 0, "runtime": FP32, "progress": False}
    one, two = (experiment.train(SPEEDRUN, d, **kwargs).model for d in (data, other))
    assert torch.equal(one.stem.weight, two.stem.weight)
    assert one.stem.weight.abs().sum() > 0


def test_a_network_that_takes_one_size_alone_says_so(data):
    sizes = override(RECIPE, "data.sizes=[[0.5,16]]")
    with pytest.raises(
        UserError, match=r"deep_cnn takes images of 32 pixels alone, got data.sizes"
    ):
        experiment.train(sizes, data, seed=0, runtime=FP32, progress=False)


# --- range test -------------------------------------------------------------------------------


def test_a_range_test_takes_the_recipe_but_its_rate(data):
    changes = {"seed": 0, "runtime": FP32, "steps": 12, "low": 1e-3, "high": 0.1}
    found = experiment.range_test(RECIPE, data, **changes)
    assert (len(found.rates), found.rates[0]) == (12, 1e-3)
    other_rate = dataclasses.replace(RECIPE, optim=OptimConfig(peak_lr=7.0))
    assert experiment.range_test(other_rate, data, **changes) == found
    other_loss = override(RECIPE, "objective.label_smoothing=0.5")
    assert experiment.range_test(other_loss, data, **changes).losses != found.losses
