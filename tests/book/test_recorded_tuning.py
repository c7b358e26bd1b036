"""The recorded search is proven again: its recipe is today's, its numbers come from its trials."""

import pytest

from cifar_lessons import recipes, runs
from cifar_lessons.fields import differences
from cifar_lessons.tuning.space import ADVICE, SPACE
from cifar_lessons.tuning.trials import best, counted, from_values, noise


@pytest.fixture(scope="module")
def study():
    try:
        return runs.load_study("tuning")
    except runs.MissingRun:
        pytest.skip("no search is recorded yet")


def test_its_recipe_and_ranges_are_todays(study):
    """A stale search has to be run again, or its recipe put back."""
    assert differences(study["values"]["recipe"], recipes.get("tuning_base")) == []
    assert from_values(study["values"]).space == SPACE


def test_its_trials_are_as_many_as_were_planned_and_none_is_left_out(study):
    tuning = from_values(study["values"])
    assert len(counted(tuning.trials)) == 48
    assert len({t.number for t in tuning.trials}) == len(tuning.trials)
    for t in tuning.trials:
        assert t.seed == 1000 + t.number
        assert (len(t.values) == tuning.epochs) == (t.state == "complete")
        for r in tuning.space:
            assert r.low <= t.settings[r.field] <= r.high


def test_its_numbers_follow_from_its_trials(study):
    tuning = from_values(study["values"])
    leader = best(tuning.trials)
    assert leader is not None
    assert study["values"]["best"] == leader.number
    assert study["values"]["noise"] == noise(tuning.repeats)
    assert [r.settings for r in tuning.repeats] == [leader.settings, *ADVICE.values()]
    assert all(list(r.accuracies) == [0, 1, 2, 3, 4] for r in tuning.repeats)
    for shares in tuning.importance.values():
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)


def test_its_provenance_is_clean(study):
    facts = study["provenance"]
    assert facts["git_dirty"] is False
    assert all(len(commit) == 40 for commit in facts["git_commits"])
    assert facts["data_digest"] != "synthetic"
    assert facts["train_seconds"] > 0
