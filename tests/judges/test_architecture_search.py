"""Mirrors cifar_lessons/judges/architecture_search.py: the judge can end each way that it says."""

import pytest

NAMES = ("enas_alternating", "enas_conv3", "enas_sep3", "enas_found", "enas_found_uniform")


@pytest.fixture(autouse=True)
def _nothing_recorded(monkeypatch, tmp_path):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))


def of(*accuracies: float) -> dict[str, float]:
    return dict(zip(NAMES, accuracies, strict=True))


def test_c17_is_corrected_where_a_rival_is_clearly_better(judge, evidence):
    found = judge("C17", evidence(of(0.80, 0.85, 0.75, 0.80, 0.80), seeds=5))
    assert found.verdict == "corrected"
    assert found.reason == "clearly better than the mix at equal cost: enas_conv3"
    assert found.ours.startswith("enas_conv3 84.")


def test_c17_is_reproduced_where_the_mix_beats_both_pure_networks(judge, evidence):
    found = judge("C17", evidence(of(0.85, 0.80, 0.78, 0.84, 0.84), seeds=5))
    assert found.verdict == "reproduced"


def test_c17_is_open_where_the_mix_is_only_as_good_as_one_of_them(judge, evidence):
    found = judge("C17", evidence(of(0.85, 0.85, 0.78, 0.84, 0.84), seeds=5))
    assert found.verdict == "open"
    assert "not clearly better than both" in found.reason


@pytest.mark.parametrize(("found", "verdict"), [("c3/s3/c3", "open"), ("c3/s3/c5", "corrected")])
def test_c17_counts_a_found_mix_of_these_two_for_the_article(
    judge, evidence, monkeypatch, found, verdict
):
    from cifar_lessons.enas.results import Search
    from cifar_lessons.enas.space import parse
    from cifar_lessons.judges import architecture_search as module

    searches = {"enas_search": Search(None, parse(found), {}, (), {}, [])}  # type: ignore[arg-type]
    monkeypatch.setattr(module, "load", lambda name="enas_search", root=None: searches.get(name))
    monkeypatch.setattr(module, "alone", lambda **_: [])
    better = of(0.80, 0.80, 0.78, 0.85, 0.80)
    assert judge("C17", evidence(better, seeds=5)).verdict == verdict


def test_c17_shows_the_random_ones_and_what_learning_was_worth(judge, evidence):
    more = {"enas_random0": 0.83, "enas_random1": 0.86}
    found = judge("C17", evidence({**of(0.8, 0.8, 0.8, 0.85, 0.8), **more}, seeds=5))
    told = "\n".join(found.details)
    assert "enas_found against enas_found_uniform: +4.9" in told or "found_uniform: +5" in told
    assert "2 random architectures at equal cost: 83." in told
    assert "; 1 of them above what the search found" in told


def test_c17_says_what_was_found_and_how_well_shared_weights_rank(judge, evidence, monkeypatch):
    from cifar_lessons.enas.results import Ranking, Search
    from cifar_lessons.enas.space import plain
    from cifar_lessons.judges import architecture_search as module

    search = Search(None, plain(["c3", "s3", "c5"]), {}, (), {}, [])  # type: ignore[arg-type]
    monkeypatch.setattr(module, "load", lambda *_, **__: search)
    monkeypatch.setattr(module, "alone", lambda **_: [])
    order = Ranking(("a", "b"), (0.1, 0.2), (0.3, 0.4), 0.5, (-0.1, 0.9))
    monkeypatch.setattr(module, "ranking", lambda *_: order)
    told = "\n".join(judge("C17", evidence(of(0.8, 0.8, 0.8, 0.8, 0.8), seeds=5)).details)
    assert "the search found c3/s3+0/c5+1: 1 × 3x3 convolution, 1 × separable 3x3" in told
    assert "2 networks at equal cost: tau +0.50 (−0.10 to +0.90)" in told
