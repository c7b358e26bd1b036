"""Mirrors cifar_lessons/tuning/search.py."""

import pytest

from cifar_lessons.errors import UserError
from cifar_lessons.tuning.search import repeat, search
from cifar_lessons.tuning.space import Range


def test_a_continued_search_equals_one_that_was_not_interrupted(workplace, fake, tmp_path):
    whole = search(workplace(), trials=14, startup=4)
    parts = workplace(str(tmp_path / "x.journal"))
    for trials in (3, 9, 14):
        found = search(parts, trials=trials, startup=4)
        assert len(found.trials) == trials
    assert [t.settings for t in found.trials] == [t.settings for t in whole.trials]
    assert [t.state for t in found.trials] == [t.state for t in whole.trials]
    assert [t.settings for t in search(workplace(), trials=2, seed=1).trials] != [
        t.settings for t in whole.trials[:2]
    ]


def test_a_finished_search_trains_nothing_more(workplace, fake, tmp_path):
    place = workplace(str(tmp_path / "x.journal"))
    search(place, trials=4)
    before = len(fake.calls)
    assert len(search(place, trials=4).trials) == len(search(place, trials=2).trials) == 4
    assert len(fake.calls) == before


def test_hopeless_trials_are_stopped_early_and_the_best_is_found(workplace, fake):
    found = search(workplace(), trials=30, startup=5)
    pruned = [t for t in found.trials if t.state == "pruned"]
    assert pruned
    assert {len(t.values) for t in pruned} <= {2, 3}  # of 4 epochs: not before the middle
    assert found.best is not None
    assert 0.05 < found.best.settings["optim.peak_lr"] < 0.6
    assert found.best.accuracy > 0.75


def test_only_the_given_fields_change(workplace, fake):
    space = (Range("optim.momentum", 0.0, 0.95),)
    found = search(workplace(), trials=3, space=space)
    assert [list(t.settings) for t in found.trials] == [["optim.momentum"]] * 3
    assert {recipe.optim.peak_lr for recipe, _ in fake.calls} == {0.1}


ARMS = {
    "best": {"batch_size": 64, "optim.peak_lr": 0.2},
    "other": {"batch_size": 256, "optim.peak_lr": 0.01},
}


def test_repeats_train_each_arm_from_fresh_seeds(workplace, fake):
    found = repeat(workplace(), ARMS, seeds=3)
    assert [(r.label, list(r.accuracies)) for r in found.repeats] == [
        ("best", [0, 1, 2]),
        ("other", [0, 1, 2]),
    ]
    assert [r.settings for r in found.repeats] == list(ARMS.values())
    assert found.repeats[0].mean > found.repeats[1].mean
    assert len(fake.calls) == 6
    assert {t.state for t in found.trials} == {"complete"}  # no repeat is stopped early


def test_a_repeat_that_two_processes_have_queued_is_trained_once(workplace, fake, tmp_path):
    place = workplace(str(tmp_path / "x.journal"))
    study = place.open("tuning_base, repeated", prune=False)
    for _ in range(2):
        fixed = {"settings": ARMS["best"], "seed": 0}
        study.enqueue_trial({}, user_attrs={"fixed": fixed, "label": "best"})
    found = repeat(place, ARMS, seeds=2)
    assert [list(r.accuracies) for r in found.repeats] == [[0, 1], [0, 1]]
    assert len(fake.calls) == 4


def test_repeats_go_on_and_more_seeds_add_to_them(workplace, fake, tmp_path):
    place = workplace(str(tmp_path / "x.journal"))
    fake.stops_at = 2
    assert repeat(place, ARMS, seeds=2).stopped_by == "signal"
    assert [list(r.accuracies) for r in repeat(place, ARMS, seeds=2).repeats] == [[0, 1], [0, 1]]
    before = len(fake.calls)
    assert len(repeat(place, ARMS, seeds=3).repeats[0].accuracies) == 3
    assert len(fake.calls) == before + 2
    # Other settings have become the best: those that were trained are not trained again.
    changed = {"best": {"batch_size": 96, "optim.peak_lr": 0.3}, "other": ARMS["other"]}
    assert len(repeat(place, changed, seeds=3).repeats) == 2
    assert len(fake.calls) == before + 5


def test_repeats_stand_beside_the_search_in_one_storage(workplace, fake, tmp_path):
    place = workplace(str(tmp_path / "x.journal"))
    first = search(place, trials=3)
    repeat(place, ARMS, seeds=1)
    assert search(place, trials=3).trials == first.trials


def test_repeats_that_die_again_and_again_are_told(workplace, fake, tmp_path):
    place = workplace(str(tmp_path / "x.journal"))

    def die() -> None:
        raise MemoryError

    fake.before_epoch = die
    for _ in range(3):
        with pytest.raises(MemoryError):
            repeat(place, {"best": ARMS["best"]}, seeds=1)
    with pytest.raises(UserError, match="ended their process again and again"):
        repeat(place, {"best": ARMS["best"]}, seeds=1)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda place: search(place, trials=0), "--trials must be >= 1, got 0"),
        (lambda place: search(place, trials=1, seed=-1), "--seed must be >= 0, got -1"),
        (lambda place: repeat(place, ARMS, seeds=0), "--repeat must be >= 1, got 0"),
    ],
)
def test_numbers_out_of_range(workplace, call, said):
    with pytest.raises(UserError, match=said):
        call(workplace())
