"""Mirrors cifar_lessons/tuning/sampler.py: draws depend on the seed, the number and the past."""

import optuna
import pytest

from cifar_lessons.tuning.sampler import NumberedTPE
from cifar_lessons.tuning.space import SPACE
from cifar_lessons.tuning.study import suggest


@pytest.fixture(autouse=True)
def _quiet():
    from cifar_lessons.tuning.storage import quiet

    with quiet():
        yield


def draw(study: optuna.Study, n: int) -> list[dict]:
    found = []
    for _ in range(n):
        trial = study.ask()
        settings = suggest(trial, SPACE)
        study.tell(trial, -abs(settings["optim.peak_lr"] - 0.1))
        found.append(dict(settings))
    return found


def study(seed: int = 0, storage=None) -> optuna.Study:
    return optuna.create_study(
        storage=storage,
        study_name="s",
        direction="maximize",
        load_if_exists=True,
        sampler=NumberedTPE(seed=seed, startup=4),
    )


def test_a_continued_search_goes_on_as_one_that_was_not_interrupted():
    whole = draw(study(), 10)
    storage = optuna.storages.InMemoryStorage()
    parts = draw(study(storage=storage), 3) + draw(study(storage=storage), 5)
    assert parts + draw(study(storage=storage), 2) == whole
    assert draw(study(seed=1), 1) != whole[:1]


def test_two_processes_that_begin_together_draw_different_settings():
    storage = optuna.storages.InMemoryStorage()
    a, b = study(storage=storage), study(storage=storage)
    first, second = a.ask(), b.ask()
    assert suggest(first, SPACE) != suggest(second, SPACE)


def test_random_draws_fill_the_space_in_every_setting_by_itself():
    """One generator for all settings of a trial, or they would rise and fall together."""
    found = draw(study(), 4) + [dict(suggest(study(seed=k).ask(), SPACE)) for k in range(1, 40)]
    at = [[r.position(s[r.field]) for r in SPACE] for s in found]
    for column in zip(*at, strict=True):
        assert min(column) < 0.15
        assert max(column) > 0.85
    rises = sum((a - 0.5) * (b - 0.5) > 0 for a, b, _ in at)
    assert 10 < rises < 33


def test_after_the_random_start_it_searches_near_what_was_good():
    found = [s["optim.peak_lr"] for s in draw(study(), 30)]
    near = [0.02 < rate < 0.5 for rate in found]
    assert sum(near[20:]) >= 7
