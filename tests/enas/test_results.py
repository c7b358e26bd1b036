"""Mirrors cifar_lessons/enas/results.py: what was recorded is what is read."""

import pytest

from cifar_lessons.enas import results
from cifar_lessons.enas.arms import CONTROLS
from cifar_lessons.enas.space import plain
from cifar_lessons.errors import UserError

BEST = plain(["c5", "s3", "c3", "s5", "c3", "mp"])  # of the made-up record


def test_nothing_recorded_is_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    assert results.load() is None
    assert results.searches() == {}
    assert results.alone() == []
    assert results.ranking(None, []) is None


def test_a_search_is_read_back(recorded_search):
    recorded_search()
    found = results.load()
    assert found.best == BEST
    assert found.scores[str(BEST)] == 0.7
    assert len(found.trace["entropy"]) == 30
    assert found.run.kind == "search"
    assert set(results.searches()) == {"enas_search"}


def test_a_record_without_its_search_is_told(recorded_search):
    root = recorded_search()
    path = root / "enas_search" / "seed0" / "run.json"
    path.write_text(path.read_text().replace('"scores"', '"others"'))
    with pytest.raises(UserError, match=r"cannot be read \('scores'\); record the search"):
        results.load()


def test_networks_alone_are_those_that_are_recorded(everything):
    found = results.alone()
    assert [n.name for n in found][:3] == ["enas_conv3", "enas_sep3", "enas_alternating"]
    assert [n.name for n in found][-2:] == ["enas_found", "enas_found_uniform"]
    assert len(found) == 14
    assert found[0].width == 24
    assert found[0].accuracy == pytest.approx(0.70, abs=0.01)
    at_one_width = [n.name for n in results.alone(same_width=True)]
    assert at_one_width == ["enas_conv3", "enas_random7"]  # the others' recipes are not recorded


def test_the_ranking_pairs_both_accuracies(everything):
    search = results.load()
    found = results.ranking(search, results.alone())
    # What a search found was chosen for its score, so it is left out.
    assert set(found.names) == set(CONTROLS)
    assert len(found.names) == 12
    k = found.names.index("enas_random3")
    alone = {n.name: n for n in results.alone()}["enas_random3"]
    assert found.shared[k] == search.scores[str(alone.architecture)]
    assert found.alone[k] == alone.accuracy
    assert found.interval[0] <= found.tau <= found.interval[1]


def test_too_few_networks_are_not_ranked(everything):
    assert results.ranking(results.load(), results.alone()[:3]) is None


def test_names_for_people():
    assert results.label_of("enas_random3_w24") == "random 3"
    assert results.label_of("enas_sep3") == "all separable 3x3"
    assert [results.kind_of(n) for n in ("enas_found", "enas_conv3", "enas_random1")] == [0, 1, 2]


def test_another_folder_of_runs_is_read_where_it_is_given(everything, tmp_path):
    assert results.alone(root=tmp_path / "none") == []
    assert results.load(root=tmp_path / "none") is None
