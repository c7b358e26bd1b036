"""Mirrors cifar_lessons/training/fit.py: a run that is cut anywhere ends as an undisturbed one."""

import dataclasses
import inspect
import math
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cifar_lessons.config import AugmentConfig, DataConfig, OptimConfig, ScheduleConfig
from cifar_lessons.data.cifar import Cifar, synthetic
from cifar_lessons.data.loader import TrainLoader
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import accuracy, negative_log_likelihood
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.objectives.base import StepOutput
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.runtime import Runtime
from cifar_lessons.training import checkpoint as checkpoints
from cifar_lessons.training.fit import FitResult, fit
from cifar_lessons.training.optim import build_optimizer
from cifar_lessons.training.step import LossIsNotFinite

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
BF16 = Runtime(device=torch.device("cpu"), precision="bf16")
NESTEROV, SUPERVISED = OptimConfig(), SupervisedObjective()
FLIP_CROP = AugmentConfig(flip="random", crop_padding=4)
STEPS, EPOCHS = 4, 3  # of the runs that are cut


class Crash(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def data() -> Cifar:
    return synthetic(num_train=48, num_test=20, val_size=16)  # 32 to train on


def network() -> nn.Module:
    """Batch norm has buffers, dropout draws random numbers: what a resume could get wrong."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4 * 8 * 8, 10),
    )


@dataclasses.dataclass
class Trial:
    """One way to call `fit`."""

    data: Cifar
    optim: OptimConfig = NESTEROV
    runtime: Runtime = FP32
    ema_decay: float | None = None
    val_loss: float | None = None  # in place of the real one
    objective: Any = SUPERVISED
    die_in_validation: int = -1
    augment: AugmentConfig = FLIP_CROP

    def fit(self, **kwargs: Any) -> FitResult:
        config = DataConfig(augment=self.augment)
        model = network()
        calls = 0

        def validate(model: nn.Module) -> dict[str, float]:
            nonlocal calls
            calls += 1
            if calls == self.die_in_validation:
                raise Crash
            assert not model.training
            found = predict(model, self.data.val, config, runtime=self.runtime)
            loss = negative_log_likelihood(found) if self.val_loss is None else self.val_loss
            return {"loss": loss, "accuracy": accuracy(found)}

        arguments: dict[str, Any] = {
            "train": TrainLoader(self.data.train, config, batch_size=8, seed=5),
            "validate": validate,
            "optimizer": build_optimizer(model, self.optim),
            "schedule": self.optim.schedule,
            "peak_lr": self.optim.peak_lr,
            "epochs": EPOCHS,
            "runtime": self.runtime,
            "clip_norm": self.optim.clip_norm,
            "ema_decay": self.ema_decay,
            "progress": False,
        }
        return fit(model, self.objective, **{**arguments, **kwargs})


def outcome(result: FitResult) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    history = [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]
    return result.model.state_dict(), history


def assert_equal_bits(found: FitResult, expected: FitResult) -> None:
    (state, history), (their_state, their_history) = outcome(found), outcome(expected)
    assert state.keys() == their_state.keys()
    different = [name for name in state if not torch.equal(state[name], their_state[name])]
    assert different == []
    assert history == their_history
    assert found.finished
    assert expected.finished


class Dying:
    """An objective that dies in place of its N-th step of this process, counted from 0."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, model, batch) -> StepOutput:
        self.left -= 1
        if self.left < 0:
            raise Crash
        return SupervisedObjective()(model, batch)


# --- it learns --------------------------------------------------------------------------------


def test_it_overfits_64_images():
    few = synthetic(num_train=96, num_test=20, val_size=32)  # 64 to train on
    optim = OptimConfig(name="adam", peak_lr=1e-2, weight_decay=0.0)
    result = Trial(few, optim, augment=AugmentConfig()).fit(epochs=30)
    assert result.finished
    assert result.history[0]["train_accuracy"] < 0.5
    result.model.eval()
    shown = predict(result.model, few.train, DataConfig(), runtime=FP32)
    assert accuracy(shown) == 1.0


def test_history_has_a_row_an_epoch_with_its_columns(data):
    result = Trial(data).fit()
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    assert list(result.history[0]) == [
        *("epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds")
    ]
    seconds = [row["seconds"] for row in result.history]
    assert 0 < seconds[0] < seconds[1] < seconds[2] <= result.seconds
    assert result.cpu_seconds > 0


def test_without_validation_there_are_no_such_columns(data):
    result = Trial(data).fit(validate=None)
    assert [k for k in result.history[0] if k.startswith("val")] == []


def test_the_recorded_rate_is_that_of_the_last_step(data):
    optim = OptimConfig(peak_lr=0.2, schedule=ScheduleConfig(name="step", milestones=(0.5,)))
    rates = [row["lr"] for row in Trial(data, optim).fit().history]
    assert rates == pytest.approx([0.2, 0.02, 0.02])  # the milestone lies inside epoch 2


def test_training_metrics_are_means_over_the_epoch(data):
    """Against the objective's own outputs, noted as they go by."""
    noted = []

    def noting(model, batch) -> StepOutput:
        output = SupervisedObjective()(model, batch)
        noted.append(output.metrics["loss"].item())
        return output

    result = Trial(data, objective=noting).fit()
    means = [sum(noted[k : k + STEPS]) / STEPS for k in range(0, STEPS * EPOCHS, STEPS)]
    assert [row["train_loss"] for row in result.history] == pytest.approx(means, rel=1e-6)


def test_the_average_is_what_is_validated_and_returned(data):
    plain, averaged = Trial(data).fit(), Trial(data, ema_decay=0.99).fit()
    names = ("train_loss", "train_accuracy")
    assert [[r[n] for n in names] for r in plain.history] == [
        [r[n] for n in names] for r in averaged.history
    ]
    assert plain.history[-1]["val_loss"] != averaged.history[-1]["val_loss"]
    assert not averaged.model.training
    found = negative_log_likelihood(predict(averaged.model, data.val, DataConfig(), runtime=FP32))
    assert found == pytest.approx(averaged.history[-1]["val_loss"], rel=1e-6)


def test_the_seed_decides(data):
    config = DataConfig(augment=AugmentConfig(flip="random"))
    runs = [
        Trial(data).fit(train=TrainLoader(data.train, config, batch_size=8, seed=seed))
        for seed in (1, 1, 2)
    ]
    assert_equal_bits(runs[0], runs[1])
    assert outcome(runs[0])[1] != outcome(runs[2])[1]


def test_the_test_split_cannot_get_in():
    names = list(inspect.signature(fit).parameters)
    assert [name for name in names if "test" in name or name in ("data", "split", "cifar")] == []
    assert not any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD
        for parameter in inspect.signature(fit).parameters.values()
    )


# --- cut and continued ------------------------------------------------------------------------

PLATEAU = ScheduleConfig(name="plateau", patience=0, factor=0.5)
WAYS = {
    "nesterov, one cycle, ema": {"ema_decay": 0.8},
    "adam, plateau, clipping": {
        "optim": OptimConfig(name="adam", peak_lr=0.01, clip_norm=0.5, schedule=PLATEAU),
        "val_loss": 1.0,  # stands still, so that the rate falls
    },
    "adamw, cosine, bf16": {
        "optim": OptimConfig(
            name="adamw",
            peak_lr=0.01,
            schedule=ScheduleConfig(name="cosine", warmup_epochs=0.5),
        ),
        "runtime": BF16,
        "ema_decay": 0.9,
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_cut_at_any_step_ends_as_an_undisturbed_one(data, tmp_path, way):
    undisturbed = Trial(data, **WAYS[way]).fit()
    if "plateau" in way:
        rates = [row["lr"] for row in undisturbed.history]
        assert rates == pytest.approx([0.01, 0.01, 0.005])  # guards: the schedule did something
    for cut in range(1, STEPS * EPOCHS):
        path = tmp_path / f"{cut}.pt"
        with pytest.raises(Crash):
            Trial(data, **WAYS[way], objective=Dying(cut)).fit(checkpoint=path, save_every=0.0)
        resumed = Trial(data, **WAYS[way], objective=Dying(STEPS * EPOCHS - cut)).fit(
            checkpoint=path
        )
        assert_equal_bits(resumed, undisturbed)


def test_a_run_cut_while_it_validates_repeats_no_more_than_it_must(data, tmp_path):
    undisturbed = Trial(data).fit()
    path = tmp_path / "c.pt"
    with pytest.raises(Crash):
        Trial(data, die_in_validation=2).fit(checkpoint=path, save_every=0.0)
    # The last step of that epoch and all of the next.
    resumed = Trial(data, objective=Dying(1 + STEPS)).fit(checkpoint=path)
    assert_equal_bits(resumed, undisturbed)


def test_a_run_cut_after_its_last_checkpoint_takes_no_step(data, tmp_path):
    path = tmp_path / "c.pt"
    first = Trial(data).fit(checkpoint=path)
    again = Trial(data, objective=Dying(0)).fit(checkpoint=path)
    assert_equal_bits(again, first)
    assert not again.model.training


def test_a_checkpoint_changes_nothing(data, tmp_path):
    assert_equal_bits(
        Trial(data, ema_decay=0.8).fit(checkpoint=tmp_path / "c.pt", save_every=0.0),
        Trial(data, ema_decay=0.8).fit(),
    )


def test_a_deadline_saves_and_the_same_call_continues(data, tmp_path):
    """However short: each sitting takes a step at least, so a run always ends."""
    path, sittings = tmp_path / "c.pt", 0
    while True:
        result = Trial(data).fit(checkpoint=path, deadline=time.monotonic() - 1)
        sittings += 1
        if result.finished:
            break
        assert result.stopped_by == "deadline"
    assert sittings == STEPS * EPOCHS
    assert result.stopped_by == ""
    assert_equal_bits(result, Trial(data).fit())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at", [2, STEPS])  # inside an epoch, and in its last step
def test_a_signal_saves_and_the_same_call_continues(data, tmp_path, number, at):
    path, steps = tmp_path / "c.pt", 0

    def signalled(model, batch) -> StepOutput:
        nonlocal steps
        steps += 1
        if steps == at:
            os.kill(os.getpid(), number)
        return SupervisedObjective()(model, batch)

    stopped = Trial(data, objective=signalled).fit(checkpoint=path)
    assert (stopped.finished, stopped.stopped_by, steps) == (False, "signal", at)
    resumed = Trial(data, objective=Dying(STEPS * EPOCHS - at)).fit(checkpoint=path)
    assert_equal_bits(resumed, Trial(data).fit())


def test_sittings_add_up(data, tmp_path):
    path = tmp_path / "c.pt"
    with pytest.raises(Crash):
        Trial(data, objective=Dying(STEPS)).fit(checkpoint=path, commit="first")
    before = Trial(data, objective=Dying(0))
    with pytest.raises(Crash):
        before.fit(checkpoint=path, commit="second")  # saves nothing: it took no step
    result = Trial(data).fit(checkpoint=path, commit="third")
    assert result.commits == ["first", "third"]
    seconds = [row["seconds"] for row in result.history]
    assert 0 < seconds[0] < seconds[1] < seconds[2] <= result.seconds


# --- what must not be mixed up ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("saved", "now", "said"),
    [
        ({"seed": 0}, {"seed": 1}, "seed: saved 0, now 1"),
        ({"optim.peak_lr": 0.1}, {"optim.peak_lr": 0.2}, "optim.peak_lr: saved 0.1, now 0.2"),
        ({"seed": 0}, {"seed": 0, "width": 16}, "width: saved not set, now 16"),
        # An option that was set then and is not now: the same weights may fit.
        ({"skip": False, "seed": 0}, {"seed": 0}, "skip: saved False, now not set"),
        ({"options.skip": False}, {"options": {}}, "options.skip: saved False, now not set"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(data, tmp_path, saved, now, said):
    path = tmp_path / "c.pt"
    Trial(data).fit(checkpoint=path, identity=saved)
    before = path.read_bytes()
    with pytest.raises(UserError) as error:
        Trial(data).fit(checkpoint=path, identity=now)
    assert str(error.value) == (
        f"{path} is of another run ({said}); delete it, or choose another folder with --out"
    )
    assert path.read_bytes() == before


def test_an_empty_table_is_no_difference(data, tmp_path):
    path = tmp_path / "c.pt"
    Trial(data).fit(checkpoint=path, identity={"seed": 0, "model.options": {}})
    assert Trial(data).fit(checkpoint=path, identity={"seed": 0}).finished


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": EPOCHS + 1}, f"epochs: saved {EPOCHS}, now {EPOCHS + 1}"),
        ({"peak_lr": 0.5}, "peak_lr: saved 0.1, now 0.5"),
        ({"schedule": ScheduleConfig(name="cosine")}, "name: saved 'one_cycle', now 'cosine'"),
    ],
)
def test_a_run_does_not_go_on_at_other_rates(data, tmp_path, change, said):
    """Also where nobody gives an identity: half a schedule of each is neither."""
    path = tmp_path / "c.pt"
    Trial(data).fit(checkpoint=path)
    with pytest.raises(UserError, match=re.escape(f"is of another run ({said})")):
        Trial(data).fit(checkpoint=path, **change)


# --- what it is given -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda loss: loss, "maps .model, batch. to a StepOutput.loss, metrics., got a Tensor"),
        (
            lambda loss: StepOutput(loss, {"hits": 3.0}),
            "'hits' must be a tensor of one number, got",
        ),
        (lambda loss: StepOutput(loss, {"hits": torch.ones(2)}), "'hits' must be a tensor of one"),
    ],
)
def test_an_objective_that_returns_something_else_is_told(data, returned, said):
    def objective(model, batch):
        return returned(model(batch.images).square().mean())

    with pytest.raises(TypeError, match=said):
        Trial(data, objective=objective).fit()


def test_an_objective_needs_to_name_its_loss_once(data):
    def objective(model, batch):
        return StepOutput(model(batch.images).square().mean())

    assert set(Trial(data, objective=objective).fit().history[0]) >= {"train_loss", "lr"}


def test_a_plateau_needs_a_loss_to_watch(data):
    plateau = ScheduleConfig(name="plateau")
    with pytest.raises(UserError, match="plateau schedule watches the validation loss"):
        Trial(data).fit(schedule=plateau, validate=None)
    with pytest.raises(TypeError, match=r"watches `loss`; validate returned \['accuracy'\]"):
        Trial(data).fit(schedule=plateau, validate=lambda model: {"accuracy": 0.5})


def test_validation_returns_numbers_by_name(data):
    with pytest.raises(TypeError, match="validate must return numbers by name, got a float"):
        Trial(data).fit(validate=lambda model: 0.5)


def test_no_epoch_is_no_training(data):
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        Trial(data).fit(epochs=0)


def test_a_checkpoint_that_does_not_fit_the_code_is_told(data, tmp_path):
    """The recipe is the same, and a commit in between has changed the network."""
    path = tmp_path / "c.pt"
    Trial(data).fit(checkpoint=path)
    other = nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))
    with pytest.raises(UserError) as error:
        fit(
            other,
            SupervisedObjective(),
            train=TrainLoader(data.train, DataConfig(), batch_size=8, seed=5),
            validate=None,
            optimizer=build_optimizer(other, OptimConfig()),
            schedule=ScheduleConfig(),
            peak_lr=0.1,
            epochs=EPOCHS,
            runtime=FP32,
            checkpoint=path,
            progress=False,
        )
    assert "\n" not in str(error.value)
    said = f"{path} does not fit this network and optimizer (Error(s) in loading state_dict for"
    assert str(error.value).startswith(said)
    assert "key(s) in state_dict" in str(error.value)  # what does not fit, too
    assert "delete it to start this run afresh, or choose another folder" in str(error.value)


# --- divergence -------------------------------------------------------------------------------


def nan_at(step: int):
    steps = 0

    def objective(model, batch) -> StepOutput:
        nonlocal steps
        output = SupervisedObjective()(model, batch)
        scale = math.nan if steps == step else 1.0
        steps += 1
        return StepOutput(output.loss * scale, {k: v * scale for k, v in output.metrics.items()})

    return objective


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_nan_stops_the_run_and_the_last_checkpoint_stands(data, tmp_path, device):
    """On an accelerator it is seen at the end of the epoch, before anything is saved."""
    path = tmp_path / "c.pt"
    # Named cuda, the tensors stay on the CPU: only the question when to look is tested.
    runtime = Runtime(device=torch.device(device), precision="fp32")
    with pytest.raises(LossIsNotFinite, match="the loss became nan: try a lower rate"):
        Trial(data, objective=nan_at(STEPS + 1)).fit(
            checkpoint=path, runtime=runtime, validate=None
        )
    resumed = Trial(data, objective=Dying(STEPS * (EPOCHS - 1))).fit(checkpoint=path)
    assert resumed.finished


def test_on_an_accelerator_it_is_seen_before_a_checkpoint_within_an_epoch(data, tmp_path):
    path = tmp_path / "c.pt"
    runtime = Runtime(device=torch.device("cuda"), precision="fp32")  # as above
    with pytest.raises(LossIsNotFinite, match="the loss became nan: try a lower rate"):
        Trial(data, objective=nan_at(1)).fit(
            checkpoint=path, runtime=runtime, validate=None, save_every=0.0
        )
    first = Trial(data, objective=Dying(STEPS * EPOCHS - 1)).fit(checkpoint=path)
    assert first.finished


# --- what is shown ----------------------------------------------------------------------------


def test_a_line_an_epoch_where_there_is_no_terminal(data, tmp_path, capsys):
    path = tmp_path / "c.pt"
    with pytest.raises(Crash):
        Trial(data, objective=Dying(STEPS + 1)).fit(checkpoint=path, progress=True, save_every=0.0)
    Trial(data).fit(checkpoint=path, progress=True)
    out, err = capsys.readouterr()
    assert err == ""
    first, resuming, second, third = out.splitlines()
    assert first.startswith("epoch 1/3  train loss ")
    assert all(word in first for word in ("train accuracy", " %  val loss", "val accuracy"))
    assert resuming == f"resuming at epoch 2, step 1 ({path})"
    assert [second[:9], third[:9]] == ["epoch 2/3", "epoch 3/3"]


def test_silence_can_be_had(data, capsys):
    Trial(data).fit(progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_file_that_cannot_be_written_is_told(data, tmp_path):
    (tmp_path / "file").write_text("")
    path: Path = tmp_path / "file" / "c.pt"
    with pytest.raises(UserError, match=r"cannot write .*c.pt: .*choose another folder"):
        Trial(data).fit(checkpoint=path)


def test_each_epoch_is_told_when_it_is_over_and_saved(data, tmp_path):
    path, told = tmp_path / "checkpoint.pt", []

    def on_epoch(row: dict[str, float]) -> None:
        told.append(row)
        assert checkpoints.load(path)["history"] == told

    result = Trial(data).fit(checkpoint=path, on_epoch=on_epoch)
    assert told == result.history
    assert len(told) == EPOCHS


def test_what_it_raises_ends_the_training_there(data, tmp_path):
    path, told = tmp_path / "checkpoint.pt", []

    def hopeless(row: dict[str, float]) -> None:
        told.append(row)
        if row["epoch"] == 2:
            raise Crash

    with pytest.raises(Crash):
        Trial(data).fit(checkpoint=path, on_epoch=hopeless)
    assert len(told) == 2
    assert Trial(data).fit(checkpoint=path).history[:2] == told  # and it can go on


def test_validation_may_be_rarer_and_never_misses_the_end(data):
    history = Trial(data).fit(validate_every=2).history
    assert [row["epoch"] for row in history if "val_loss" in row] == [2, 3]
    assert all("train_loss" in row for row in history)
    every = Trial(data).fit()
    rare = Trial(data).fit(validate_every=2)
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            every.model.state_dict().values(), rare.model.state_dict().values(), strict=True
        )
    )  # a look changes nothing
