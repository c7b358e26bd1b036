"""Mirrors cifar_lessons/enas/live.py: a search in a notebook, in seconds."""

from cifar_lessons import recipes
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.enas import live
from cifar_lessons.notebook import Session


def test_a_quick_search_is_short_labelled_and_finishes(cpu, monkeypatch, capsys):
    monkeypatch.setattr(live, "QUICK_IMAGES", 128)
    monkeypatch.setattr(live, "QUICK_VALIDATION", 64)
    session = Session(synthetic(num_train=300, num_test=20, val_size=100), cpu, "quick")
    found = live.live_search(session, recipes.get("enas_search"), epochs=1)
    out = capsys.readouterr().out
    assert out.startswith("A quick taste, not a result: 128 images, 1 epochs, width 8")
    assert "first" in out.splitlines()[-1]
    assert len(found.trace) == 12
    assert found.finished
