"""Mirrors cifar_lessons/tuning/study.py: whose a study is, and which trials count."""

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState

from cifar_lessons import recipes
from cifar_lessons.errors import UserError
from cifar_lessons.tuning.space import SPACE, Range
from cifar_lessons.tuning.study import (
    count,
    is_surplus,
    open_study,
    processes_of,
    pruner,
    suggest,
    trials_of,
)

BASE = recipes.get("tuning_base")


@pytest.fixture
def storage():
    from cifar_lessons.tuning.storage import quiet

    with quiet():
        yield optuna.storages.InMemoryStorage()


def opened(storage, **more) -> optuna.Study:
    asked = {"recipe": BASE, "space": SPACE, "seed": 0, "data_digest": "md5", "where": "here"}
    return open_study(storage, "mine", **{**asked, **more})


def test_the_same_search_opens_its_study_again(storage):
    first = opened(storage)
    first.tell(first.ask(), 0.5)
    assert len(opened(storage).trials) == 1
    # What moves no result is not compared.
    assert len(opened(storage, recipe=replace(BASE, about="other words", seeds=9)).trials) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": replace(BASE, epochs=9)}, "(epochs: recorded 8, now 9)"),
        ({"recipe": recipes.get("deep_cnn_bn")}, "(epochs: recorded 8, now 12)"),
        ({"seed": 1}, "(seed: recorded 0, now 1)"),
        ({"data_digest": "synthetic"}, "(data: recorded 'md5', now 'synthetic')"),
        (
            {"space": (*SPACE[:2], Range("optim.weight_decay", 1e-5, 1e-2))},
            "(range of optim.weight_decay: recorded 1e-06 to 0.01, now 1e-05 to 0.01)",
        ),
    ],
)
def test_another_search_is_refused_with_what_differs(storage, change, said):
    opened(storage)
    with pytest.raises(UserError) as error:
        opened(storage, **change)
    assert "study 'mine' in here is another search " + said in str(error.value)
    assert "choose another name with --study, or another --storage" in str(error.value)


def test_a_study_that_is_not_ours_is_refused(storage):
    theirs = optuna.create_study(storage=storage, study_name="mine")
    theirs.tell(theirs.ask(), 1.0)
    with pytest.raises(UserError, match="was not made by cifar-lessons"):
        opened(storage)
    newer = optuna.create_study(storage=storage, study_name="newer", direction="maximize")
    newer.set_user_attr("identity", {"schema": 99})
    with pytest.raises(UserError, match="has schema 99, this version reads 1"):
        open_study(storage, "newer", recipe=BASE, data_digest="md5", where="here")


def test_of_trials_that_begin_together_those_with_the_lowest_numbers_count(storage):
    study = opened(storage)
    a, b, c = (study.ask() for _ in range(3))
    assert [is_surplus(study, t.number, 2) for t in (a, b, c)] == [False, False, True]
    study.tell(a, state=TrialState.FAIL)  # its place is free again
    assert not is_surplus(study, c.number, 2)
    study.tell(b, 0.5)
    assert count(study) == (1, 1)
    assert count(study, lambda t: t.number == c.number) == (0, 1)


def test_suggested_settings_lie_in_the_space_and_are_what_is_listed(storage):
    study = opened(storage)
    trial = study.ask()
    settings = suggest(trial, SPACE)
    assert all(r.low <= settings[r.field] <= r.high for r in SPACE)
    trial.set_user_attr("settings", settings)
    trial.set_user_attr("seed", 7)
    trial.report(0.3, step=1)
    trial.report(0.2, step=2)
    study.tell(trial, state=TrialState.PRUNED)
    study.tell(study.ask(), state=TrialState.FAIL)  # was given back: it never had settings
    study.ask()  # still running
    [listed] = trials_of(study)
    assert (listed.settings, listed.state, listed.values, listed.seed) == (
        settings,
        "pruned",
        (0.3, 0.2),
        7,
    )
    assert listed.seconds >= 0


def test_nothing_is_pruned_before_the_middle_or_before_there_is_something_to_compare(storage):
    study = opened(storage, startup=3)

    def prunes_at(value: float) -> int | None:
        trial = study.ask()
        for epoch in range(1, 9):
            trial.report(value * epoch, step=epoch)
            if trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                return epoch
        study.tell(trial, value * 8)
        return None

    assert [prunes_at(v) for v in (0.05, 0.06, 0.01, 0.07, 0.02)] == [None, None, None, None, 4]
    assert isinstance(pruner(8), optuna.pruners.MedianPruner)


def test_processes_are_listed_by_their_start(storage):
    study = opened(storage)
    study.set_user_attr("process b", {"started_at": "2026-01-02", "git_commit": "b"})
    study.set_user_attr("process a", {"started_at": "2026-01-01", "git_commit": "a"})
    assert [facts["git_commit"] for facts in processes_of(study)] == ["a", "b"]
