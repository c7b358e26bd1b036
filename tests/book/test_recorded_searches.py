"""Proves that recorded searches are whole, fresh, and from known code and real data."""

import pytest

from cifar_lessons.enas import results
from cifar_lessons.enas.arms import CONTROLS, SEARCHES
from cifar_lessons.recipes import get


@pytest.mark.parametrize("name", SEARCHES.values())
def test_a_recorded_search_is_whole(name):
    search = results.load(name)
    if search is None:
        pytest.skip(f"{name} is not recorded yet, or was with other settings")
    run = search.run
    assert run.kind == "search"
    assert not run.provenance["git_dirty"]
    assert run.provenance["data_digest"] != "synthetic"
    assert [row["epoch"] for row in run.history] == list(range(1, get(name).epochs + 1))
    assert search.scores[str(search.best)] == max(search.scores[c] for c in search.candidates)
    assert run.final["shared_val_accuracy"] == pytest.approx(search.scores[str(search.best)])
    assert {str(a) for a, _ in CONTROLS.values()} <= set(search.scores)
