"""Mirrors cifar_lessons/tuning/alive.py: a trial whose process died must not count for ever."""

import time

import optuna
import pytest
from optuna.trial import TrialState

from cifar_lessons.tuning.alive import MOST_RETRIES, Silences, beating, fail, queue_again


@pytest.fixture
def study():
    from cifar_lessons.tuning.storage import quiet

    with quiet():
        yield optuna.create_study(direction="maximize")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ask(study: optuna.Study) -> optuna.Trial:
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    return trial


def state(study: optuna.Study, number: int) -> TrialState:
    return study.trials[number].state


def test_a_silent_trial_is_given_up_and_its_settings_are_queued(study):
    clock = Clock()
    watch = Silences(grace=60, clock=clock)
    dead, living = ask(study), ask(study)
    dead.set_user_attr("beat", 4)
    for beat in range(3):
        clock.now += 59
        living.set_user_attr("beat", beat)
        assert watch.give_up(study) == ([0] if beat == 2 else [])
    assert [state(study, n) for n in (0, 1, 2)] == [
        TrialState.FAIL,
        TrialState.RUNNING,
        TrialState.WAITING,
    ]
    again = ask(study)
    assert again.number == 2
    assert again.params == study.trials[0].params
    assert again.user_attrs["deaths"] == 1


def test_a_trial_that_never_beat_is_given_up_too(study):
    clock = Clock()
    watch = Silences(grace=60, clock=clock)
    study.ask()  # died before it had settings: nothing to queue
    assert watch.give_up(study) == []
    clock.now = 61
    assert watch.give_up(study) == [0]
    assert len(study.trials) == 1


def test_settings_that_kill_every_process_are_dropped(study):
    clock = Clock()
    watch = Silences(grace=60, clock=clock)
    ask(study)
    deaths = 0
    while any(t.state == TrialState.RUNNING for t in study.trials):
        watch.give_up(study)
        clock.now += 61
        deaths += len(watch.give_up(study))
        if any(t.state == TrialState.WAITING for t in study.trials):
            ask(study)
    assert deaths == 1 + MOST_RETRIES


def test_settings_that_a_person_stopped_are_queued_however_often(study):
    ask(study)
    for _ in range(5):
        running = study.trials[-1]
        assert fail(study, running.number)
        queue_again(study, running, died=False)
        ask(study)
    assert study.trials[-1].params == study.trials[0].params


def test_only_the_first_of_two_processes_fails_a_trial(study):
    trial = ask(study)
    assert fail(study, trial.number)
    assert not fail(study, trial.number)


def test_a_fixed_trial_keeps_what_it_was_to_do(study):
    study.enqueue_trial({}, user_attrs={"fixed": {"seed": 3}, "label": "best"})
    running = study.trials[study.ask().number]
    fail(study, running.number)
    queue_again(study, running, died=True)
    assert study.trials[-1].user_attrs["fixed"] == {"seed": 3}
    assert study.trials[-1].user_attrs["label"] == "best"


def test_a_beating_trial_beats_until_its_block_ends(study):
    trial = ask(study)
    with beating(trial, every=0.01):
        time.sleep(0.2)
    beats = study.trials[0].user_attrs["beat"]
    assert beats >= 1
    time.sleep(0.05)
    assert study.trials[0].user_attrs["beat"] == beats


def test_a_beat_that_cannot_be_written_is_no_error(study):
    trial = ask(study)
    study.tell(trial, 1.0)
    with beating(trial, every=0.01):
        time.sleep(0.05)
