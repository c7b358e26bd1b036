"""Mirrors cifar_lessons/tuning/worker.py: processes that share a study, stop, and die."""

import dataclasses
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from cifar_lessons.config import Distillation
from cifar_lessons.errors import UserError
from cifar_lessons.tuning.search import Found, search

N = 8
fork = multiprocessing.get_context("fork")  # one import of torch is enough
pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="forks and signals"),
    # Python 3.12 and newer warn of forks beside threads; the children here use none of theirs.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]


def each_storage(folder: Path) -> list[str]:
    return [str(folder / "shared.journal"), f"sqlite:///{folder}/shared.db"]


@pytest.fixture(params=["journal", "sqlite"])
def storage(request, tmp_path) -> str:
    return each_storage(tmp_path)[request.param == "sqlite"]


def test_two_processes_train_n_trials_in_all_and_each_does_some(storage, workplace, fake, tmp_path):
    fake.before_epoch = lambda: time.sleep(0.03)  # so that both are at work at once

    def work(number: int) -> None:
        found = search(workplace(storage, provenance={"started_at": str(number)}), trials=N)
        (tmp_path / f"calls {number}").write_text(str(len(fake.calls)))
        assert not found.stopped_by

    processes = [fork.Process(target=work, args=(n,)) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=300)
    assert [process.exitcode for process in processes] == [0, 0]
    calls = [int((tmp_path / f"calls {n}").read_text()) for n in range(2)]
    assert sum(calls) == N
    assert min(calls) >= 1
    found = search(workplace(storage), trials=N)
    assert len(found.trials) == N
    assert len(found.processes) == 2
    assert len({t.seed for t in found.trials}) == N
    assert len({tuple(t.settings.values()) for t in found.trials}) == N


def test_a_killed_process_leaves_no_trial_behind(storage, workplace, fake, tmp_path):
    """The one that follows finds its trial silent, trains its settings, and N are finished."""
    training = tmp_path / "training"

    def hang() -> None:
        training.touch()
        time.sleep(600)

    def work() -> None:
        fake.before_epoch = hang
        # One beat: killed while it holds the journal's lock, it would make us wait for the lock.
        search(workplace(storage, beat=1000), trials=3)

    victim = fork.Process(target=work)
    victim.start()
    deadline = time.monotonic() + 60
    while not training.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join(timeout=60)
    assert (training.exists(), victim.exitcode) == (True, -signal.SIGKILL)

    fake.before_epoch = lambda: None
    found = search(workplace(storage), trials=3)
    assert not found.stopped_by
    states = [t.state for t in found.trials]
    assert (len(states), states.count("failed")) == (4, 1)
    [dead] = [t for t in found.trials if t.state == "failed"]
    assert dead.settings in [t.settings for t in found.trials if t.state != "failed"]


def test_a_trial_that_was_given_up_by_mistake_is_left_to_the_others(workplace, fake, tmp_path):
    """A process that slept for too long finds its trial failed: it goes on with another."""
    import optuna

    from cifar_lessons.tuning.alive import fail
    from cifar_lessons.tuning.storage import open_storage, quiet

    storage = each_storage(tmp_path)[0]
    failed = []

    def give_up() -> None:
        if not failed:
            with quiet():
                study = optuna.load_study(study_name="tuning_base", storage=open_storage(storage))
                failed.append(fail(study, 0))

    fake.before_epoch = give_up
    found = search(workplace(storage), trials=2)
    assert failed == [True]
    assert [t.state for t in found.trials] == ["failed", "complete", "complete"]


def test_a_stopped_trial_is_queued_and_the_same_call_goes_on(workplace, fake, tmp_path):
    place = workplace(each_storage(tmp_path)[0])
    fake.stops_at = 1
    first = search(place, trials=3)
    assert first.stopped_by == "signal"
    assert [t.state for t in first.trials] == ["complete", "failed"]
    again = search(place, trials=3)
    assert not again.stopped_by
    assert [t.state for t in again.trials] == ["complete", "failed", "complete", "complete"]
    assert again.trials[1].settings == again.trials[2].settings


def test_a_deadline_stops_between_trials(workplace, fake):
    place = workplace(deadline=time.monotonic() - 1)
    assert search(place, trials=3) == Found(stopped_by="deadline")
    assert fake.calls == []


def test_an_error_of_ours_fails_the_trial_and_is_shown(workplace, fake, tmp_path):
    place = workplace(each_storage(tmp_path)[0])

    def break_down() -> None:
        raise ZeroDivisionError

    fake.before_epoch = break_down
    with pytest.raises(ZeroDivisionError):
        search(place, trials=2)
    fake.before_epoch = lambda: None
    found = search(place, trials=2)
    assert [t.state for t in found.trials] == ["failed", "complete", "complete"]


def test_a_trial_that_diverges_counts_and_is_the_worst(workplace, fake):
    fake.diverges_above = 0.02
    found = search(workplace(), trials=6)
    states = {t.state: t for t in found.trials}
    assert "diverged" in states
    assert states["diverged"].accuracy == 0
    assert len(found.trials) == 6
    assert all(
        (t.state == "diverged") == (t.settings["optim.peak_lr"] > 0.02) for t in found.trials
    )


def test_no_trial_sees_a_test_image(workplace, fake):
    place = workplace()
    assert len(place.data.test) > 0
    search(place, trials=2)
    assert len(fake.calls) == 2
    assert fake.test_images == 0


def test_each_trial_trains_its_settings_from_a_seed_of_its_own(workplace, fake):
    found = search(workplace(), trials=3)
    for trial, (recipe, seed) in zip(found.trials, fake.calls, strict=True):
        assert trial.seed == seed == 1000 + trial.number
        assert recipe.optim.peak_lr == trial.settings["optim.peak_lr"]
        assert recipe.batch_size == trial.settings["batch_size"]
        assert trial.values[-1] == max(trial.values)


def test_a_recipe_that_cannot_be_tuned_is_told_before_there_is_a_study(workplace, tmp_path):
    place = workplace()
    without = dataclasses.replace(place.data, val=place.data.val[:0])
    with pytest.raises(UserError, match="holds out no validation images"):
        workplace(data=without)
    wrong = dataclasses.replace(
        place.recipe, model=dataclasses.replace(place.recipe.model, name="resnet81")
    )
    with pytest.raises(UserError, match="unknown model 'resnet81'"):
        workplace(str(tmp_path / "x.journal"), recipe=wrong)
    for change in ({"init": "simclr_w16"}, {"objective": Distillation()}):
        with pytest.raises(UserError, match="of another run, which trials are not given"):
            workplace(recipe=dataclasses.replace(place.recipe, **change))
    assert list(tmp_path.iterdir()) == []


def test_every_epoch_of_a_trial_is_validated_however_rarely_the_recipe_looks(workplace, fake):
    rare = dataclasses.replace(workplace().recipe, validate_every=4)
    search(workplace(recipe=rare), trials=1)
    assert [recipe.validate_every for recipe, _ in fake.calls] == [1]
