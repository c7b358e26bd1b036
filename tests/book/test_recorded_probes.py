"""The recorded study of probes is proven again: networks are today's, numbers fit each other."""

import pytest

from cifar_lessons import runs
from cifar_lessons.evaluation.metrics import accuracy
from cifar_lessons.pretraining import results


@pytest.fixture(scope="module")
def study():
    try:
        return runs.load_study(results.STUDY)
    except runs.MissingRun:
        pytest.skip("no study of probes is recorded yet")


def test_it_is_of_todays_code_and_weights(study):
    """Else `cifar-lessons study probes --record` measures it again."""
    assert results.is_current(study["values"])
    kept = results.kept()
    for name, facts in study["values"]["networks"].items():
        if name != results.UNTRAINED:
            assert facts["weights"] == kept[name], name


def test_its_accuracies_are_those_of_its_answers(study):
    read = results.probes_of(study["values"])
    for name, facts in study["values"]["networks"].items():
        for probe, stored in zip(read[name], facts["probes"], strict=True):
            assert accuracy(probe.right) == pytest.approx(stored["test_accuracy"], abs=1e-4)
            assert stored["labels"] == 10 * round(4_500 * stored["share"])


def test_every_share_has_its_draws(study):
    for facts in study["values"]["networks"].values():
        found = sorted((p["share"], p["draw"]) for p in facts["probes"])
        assert found == sorted(
            (share, draw)
            for share in results.SHARES
            for draw in range(results.DRAWS if share < 1 else 1)
        )


def test_its_provenance_is_clean(study):
    assert study["provenance"]["git_dirty"] is False
    assert study["values"]["data"] not in ("", "synthetic")
