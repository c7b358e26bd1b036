"""Mirrors cifar_lessons/tuning/live.py."""

import pytest

from cifar_lessons.notebook import Session
from cifar_lessons.tuning.live import live_search


@pytest.mark.parametrize(("profile", "epochs"), [("quick", 2), ("full", 4)])
def test_a_quick_search_is_short_and_says_so(workplace, fake, capsys, profile, epochs):
    place = workplace()
    session = Session(place.data, place.runtime, profile)
    found = live_search(session, place.recipe, trials=5)
    assert len(found.trials) == 5
    assert {recipe.epochs for recipe, _ in fake.calls} == {epochs}
    said = capsys.readouterr().out
    assert ("A quick taste, not a result: 5 trials, " in said) is (profile == "quick")
    assert said.count("\ntrial ") + said.startswith("trial ") == 5
