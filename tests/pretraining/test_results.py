"""Mirrors cifar_lessons/pretraining/results.py."""

from dataclasses import replace

import numpy as np
import pytest

from cifar_lessons import claims, recipes, recording
from cifar_lessons.pretraining import results


def test_arms_are_recipes_of_their_share():
    for arm, by_share in results.ARMS.items():
        for share, name in by_share.items():
            recipe = recipes.get(name)
            assert recipe.data.label_share == share
            assert (recipe.init is None) == (arm == results.SCRATCH)
    assert set(results.MUST) <= set(results.ARMS[results.SCRATCH])


@pytest.mark.parametrize(("share", "text"), [(0.005, "0.5 %"), (0.1, "10 %"), (1.0, "100 %")])
def test_a_share_is_written_as_a_person_does(share, text):
    assert results.spelled(share) == text


def test_answers_survive_the_packing():
    right = np.random.default_rng(0).random(1_003) < 0.3
    text = results.pack(right.tolist())
    assert len(text) == 2 * 126
    np.testing.assert_array_equal(results.unpack(text, 1_003).correct, right)


def test_what_is_recorded_is_found_by_arm_and_share(few):
    found = results.trained()
    assert {arm: {s: len(r) for s, r in by.items()} for arm, by in found.items()} == {
        "from scratch": {0.01: 3, 1.0: 3},
        "after SimCLR": {0.01: 3},
        "after VICReg": {0.01: 2, 0.1: 1},
    }


def test_the_study_is_read_with_intervals_over_draws(few):
    study = results.recorded()
    assert study is not None
    assert study.missing == ()
    e = study.estimate("simclr_w16", 0.01)
    assert e is not None
    assert (round(e.mean, 3), e.n) == (0.5, 3)
    assert study.estimate("simclr_w16", 0.1) is None
    assert study.estimate("vicreg_w16", 0.01) is None


def test_a_network_with_other_weights_is_left_out_and_named(few, recorded):
    recorded("simclr_w16", 0.66, weights={"bytes": 1, "sha256": "other"})
    study = results.recorded()
    assert study is not None
    assert study.missing == ("simclr_w16",)
    assert set(study.probes) == {"untrained"}
    # The ledger's judge sees the same networks.
    [claim] = [c for c in claims.load_claims() if c.id == "C16"]
    seen = claims._Store(None).evidence(claim).studies["probes"]
    assert set(seen["networks"]) == {"untrained"}


def test_without_a_study_of_today_there_is_none(recorded, values, provenance):
    assert results.recorded() is None
    recording.record_study(results.STUDY, {**values, "revision": 0}, provenance=provenance)
    assert results.recorded() is None


def test_an_estimate_needs_no_more_than_its_probes(few):
    study = results.recorded()
    assert study is not None
    assert replace(study, probes={}).estimate("simclr_w16", 0.01) is None
