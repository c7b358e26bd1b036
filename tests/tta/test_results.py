"""Mirrors cifar_lessons/tta/results.py."""

import numpy as np
import pytest

from cifar_lessons import claims, recording
from cifar_lessons.evaluation.metrics import Predictions, accuracy, mcnemar, paired_difference
from cifar_lessons.evaluation.view_sets import VIEW_SETS
from cifar_lessons.tta import results
from cifar_lessons.tta.results import MERGED, SETS, Cell, is_current, kept_runs, networks


def answers(right: np.ndarray) -> Predictions:
    return Predictions(np.stack([right, ~right], 1), np.zeros(len(right), np.int64))


def test_a_cell_says_what_the_predictions_themselves_say():
    rng = np.random.default_rng(0)
    one, several = rng.random(2_000) < 0.8, rng.random(2_000) < 0.83
    first, second = answers(one), answers(several)
    cell = Cell(
        images=2_000,
        before=int(one.sum()),
        corrected=int((~one & several).sum()),
        broken=int((one & ~several).sum()),
        loss=0.5,
        passes=5,
    )
    assert cell.accuracy == accuracy(second)
    assert cell.p_value == mcnemar(first, second).p_value
    expected = paired_difference([first], [second])
    assert cell.gain.mean == pytest.approx(expected.mean)
    assert cell.gain.half_width == pytest.approx(expected.half_width)
    assert cell.gain.n == 1
    assert cell.per_pass == pytest.approx(expected.mean / 4)


def test_one_pass_has_no_gain_per_extra_pass():
    assert Cell(10, 5, 0, 0, 0.5, passes=1).per_pass == 0.0


def test_networks_come_from_weak_to_strong_with_every_set_and_mean(values):
    found = networks(values)
    assert list(found) == ["weak", "strong"]
    weak, strong = found.values()
    assert (weak.accuracy, strong.accuracy) == (0.7, 0.9)
    for net in found.values():
        assert tuple(net.test.cells) == SETS
        for name, merged in net.test.cells.items():
            assert tuple(merged) == MERGED
            assert {cell.passes for cell in merged.values()} == {VIEW_SETS[name].passes}
    cell = weak.test.cells["article"]["probabilities"]
    assert (cell.corrected, cell.broken, cell.loss, cell.before) == (400, 170, 0.26, 7_000)


def test_what_was_learned_is_scored_on_test_and_absent_without_validation_images(values):
    weak, strong = networks(values).values()
    assert weak.learned is not None
    assert (weak.learned.images, weak.learned.passes, weak.learned.corrected) == (10_000, 2, 130)
    assert weak.val is not None
    assert weak.val.images == 5_000
    assert (strong.val, strong.learned, strong.weights, strong.chosen) == (None, None, {}, None)


def test_validation_chooses_the_best_set_then_the_cheapest_and_none_where_none_helps(values):
    raw = values["networks"]["weak"]
    assert networks(values)["weak"].chosen == "flip"
    for name in SETS:
        raw["val"]["sets"][name]["logits"] = [50, 20, 0.3]
    assert networks(values)["weak"].chosen in ("flip", "vertical_flip")  # two passes
    for name in SETS:
        raw["val"]["sets"][name]["logits"] = [20, 20, 0.3]
    assert networks(values)["weak"].chosen == "none"


def test_a_study_of_other_sets_or_of_older_code_is_not_current(values):
    assert is_current(values)
    assert not is_current({**values, "revision": 0})
    assert not is_current({**values, "sets": {**values["sets"], "flip": {"plain": 1.0}}})


def test_no_study_is_recorded(tmp_path):
    assert results.recorded(tmp_path) is None


def write(values) -> None:
    recording.record_study("tta", values, provenance={"git_dirty": False})


def test_networks_whose_weights_changed_are_left_out_and_named(kept, values):
    run, late = kept("weak"), kept("late", seed=1)
    assert [r.name for r in kept_runs()] == ["weak", "late"]  # the smallest first
    write(values)
    found = results.recorded()
    assert found is not None
    assert (list(found.networks), found.missing) == ([], ("weak", "late"))
    values["networks"]["weak"]["facts"]["weights"] = run.weights["sha256"]
    write(values)
    found = results.recorded()
    assert found is not None
    assert (list(found.networks), found.missing) == (["weak"], (late.name,))
    # The ledger's judge sees the same networks.
    [claim] = [c for c in claims.load_claims() if c.id == "C18"]
    evidence = claims._Store(None).evidence(claim)
    assert list(evidence.studies["tta"]["networks"]) == ["weak"]
    write({**values, "revision": 0})
    assert results.recorded() is None


def test_runs_of_other_settings_or_unknown_recipes_are_not_looked_at(kept, monkeypatch):
    from dataclasses import replace

    from cifar_lessons import recipes

    kept("one")
    kept("two", seed=1)
    changed = replace(recipes.get("one"), epochs=99)
    monkeypatch.setitem(recipes.RECIPES, "one", lambda: changed)
    assert [run.name for run in kept_runs()] == ["two"]
    monkeypatch.delitem(recipes.RECIPES, "two")
    assert kept_runs() == []
