"""The recorded study of views is proven again: its networks are recorded, its sets today's."""

import pytest

from cifar_lessons import runs
from cifar_lessons.tta import results


@pytest.fixture(scope="module")
def study():
    try:
        return runs.load_study(results.STUDY)
    except runs.MissingRun:
        pytest.skip("no study of views is recorded yet")


def test_its_sets_are_todays(study):
    """Else `cifar-lessons study tta --record` measures it again."""
    assert results.is_current(study["values"])


def test_its_networks_have_the_weights_that_are_recorded(study):
    kept = {run.name: run.weights["sha256"] for run in results.kept_runs() if run.weights}
    for name, net in results.networks(study["values"]).items():
        assert net.facts["weights"] == kept[name], name


def test_its_counts_fit_each_other_and_the_recorded_accuracy(study):
    for net in results.networks(study["values"]).values():
        for scores in filter(None, (net.test, net.val)):
            assert scores.views["plain"] == scores.right == sum(scores.by_class["none"])
            for name, merged in scores.cells.items():
                cell = merged["logits"]
                right = cell.before + cell.corrected - cell.broken
                assert right == sum(scores.by_class[name])
                for c in merged.values():
                    assert 0 <= c.corrected <= c.images - c.before
                    assert 0 <= c.broken <= c.before
        # Recorded in fp32 from the unrounded weights; looked at in another precision, from fp16.
        assert net.accuracy == pytest.approx(net.facts["recorded_accuracy"], abs=0.003)


def test_what_was_learned_adds_up(study):
    for net in results.networks(study["values"]).values():
        assert bool(net.weights) == (net.val is not None) == (net.learned is not None)
        if net.weights:
            assert sum(net.weights.values()) == pytest.approx(1, abs=1e-4)


def test_its_provenance_is_clean(study):
    assert study["provenance"]["git_dirty"] is False
    assert study["provenance"]["data_digest"] not in ("", "synthetic")
    for net in results.networks(study["values"]).values():
        assert len(net.facts["commit"]) == 40
