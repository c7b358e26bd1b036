"""Mirrors cifar_lessons/tuning/record.py."""

import json
from dataclasses import replace

import pytest

from cifar_lessons import recipes
from cifar_lessons.claims import load_claims
from cifar_lessons.errors import UserError
from cifar_lessons.fields import to_dict
from cifar_lessons.judges import JUDGES
from cifar_lessons.tuning.record import gather, importances, study_name
from cifar_lessons.tuning.search import Found
from cifar_lessons.tuning.space import SPACE
from cifar_lessons.tuning.trials import complete, from_values
from cifar_lessons.verdicts import Evidence

BASE = recipes.get("tuning_base")
PROCESS = {
    "git_commit": "a" * 40, "git_dirty": False, "data_digest": "md5", "device": "CPU",
    "started_at": "2026-01-01",
}  # fmt: skip


@pytest.fixture
def found(tuning) -> Found:
    return Found(list(tuning.trials), processes=[PROCESS, {**PROCESS, "git_commit": "b" * 40}])


@pytest.fixture
def repeated(tuning) -> Found:
    return Found(repeats=list(tuning.repeats), processes=[PROCESS])


def test_the_setting_that_matters_is_the_most_important_by_both_methods(tuning):
    shares = importances(SPACE, tuning.trials)
    assert list(shares) == ["fanova", "ped_anova"]
    for method, share in shares.items():
        assert sum(share.values()) == pytest.approx(1, abs=1e-3), method
        assert set(share) == {r.field for r in SPACE}
        assert all(type(v) is float for v in share.values())
    assert max(shares["fanova"], key=shares["fanova"].get) == "optim.peak_lr"
    assert importances(SPACE, tuning.trials) == shares  # the forest's seed is fixed


def test_of_too_few_or_equal_trials_nothing_is_said(tuning):
    assert importances(SPACE, complete(tuning.trials)[:3]) == {}
    same = [replace(t, values=(0.5,)) for t in complete(tuning.trials)]
    assert importances(SPACE, same) == {}


def test_what_is_gathered_can_be_kept_and_read_back(found, repeated):
    values, provenance = gather(BASE, found, repeated, space=SPACE, seed=0)
    tuning = from_values(json.loads(json.dumps(values)))
    assert tuning.recipe == to_dict(BASE)
    assert list(tuning.trials) == found.trials  # the failed ones too
    assert tuning.repeats[0].label == "best"
    assert tuning.importance
    assert provenance["git_commits"] == ["a" * 40, "b" * 40]
    assert (provenance["processes"], provenance["train_seconds"]) == (3, 240.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"found": {"stopped_by": "deadline"}}, "the search is not finished"),
        ({"repeated": {"stopped_by": "signal"}}, "the search is not finished"),
        ({"recipe": replace(BASE, epochs=9)}, "with other settings (epochs: recorded 9, now 8)"),
        ({"seed": 1}, "leave out --range and --seed"),
        ({"space": SPACE[:2]}, "leave out --range and --seed"),
        ({"processes": {"git_dirty": True}}, "from uncommitted code; commit it, then choose"),
        ({"processes": {"data_digest": "synthetic"}}, "on synthetic data"),
        ({"processes": None}, "nothing tells where these trials were trained"),
    ],
)
def test_what_must_not_be_recorded_is_refused(found, repeated, change, said):
    if "processes" in change:
        one = change["processes"]
        repeated.processes = [{**PROCESS, **one}] if one else []
        found.processes = found.processes if one else []
    vars(found).update(change.get("found", {}))
    vars(repeated).update(change.get("repeated", {}))
    asked = {"space": SPACE, "seed": 0} | {
        k: v for k, v in change.items() if k in ("space", "seed")
    }
    with pytest.raises(UserError) as error:
        gather(change.get("recipe", BASE), found, repeated, **asked)
    assert said in str(error.value)


def test_a_study_is_named_after_its_recipe():
    assert study_name("tuning_base") == "tuning"
    assert study_name("simple_cnn") == "tuning_simple_cnn"


def test_the_judge_reads_what_is_recorded(found, repeated):
    values, _ = gather(BASE, found, repeated, space=SPACE, seed=0)
    [claim] = [c for c in load_claims() if c.id == "C21"]
    finding = JUDGES["C21"](claim, Evidence(studies={"tuning": values}))
    # In the made-up search the first advice is half a point behind, the others more than two.
    assert finding.verdict == "reproduced"
    assert "but clearly further below: middle and 256, 0.01" in finding.reason
    assert finding.ours.startswith("best of 23 trials: batch ")
