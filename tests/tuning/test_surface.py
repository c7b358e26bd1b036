"""Mirrors cifar_lessons/tuning/surface.py."""

from dataclasses import replace

import numpy as np
import pytest

from cifar_lessons.tuning.space import SPACE
from cifar_lessons.tuning.surface import Surface, points, running_best, shuffled_best
from cifar_lessons.tuning.trials import best, counted


def test_a_stopped_trial_is_taken_where_the_others_say_it_would_have_ended(tuning):
    found = {p.settings["optim.peak_lr"]: p for p in points(tuning.trials, 8)}
    assert len(found) == len(counted(tuning.trials))
    for t in tuning.trials:
        if t.state == "pruned":
            p = found[t.settings["optim.peak_lr"]]
            # In the made-up search every curve has the same shape, so its end is known.
            true = t.values[-1] / (1 - 0.5**4) * (1 - 0.5**8)
            lowest = best(tuning.trials).accuracy - 0.3
            assert p.accuracy == pytest.approx(max(true, lowest), abs=1e-6)
            assert (p.kind, p.sd > 0) == ("stopped", True)
        elif t.state == "complete":
            assert found[t.settings["optim.peak_lr"]].kind == "complete"


def test_a_cliff_is_no_deeper_than_it_may_be(tuning):
    leader = best(tuning.trials)
    assert leader is not None
    floor = leader.accuracy - 0.3
    assert min(p.accuracy for p in points(tuning.trials, 8)) == pytest.approx(floor)
    assert points([t for t in tuning.trials if t.state != "complete"], 8) == []


def test_the_surface_goes_through_the_trials_and_knows_where_it_knows_little(tuning):
    surface = Surface(tuning)
    measured = [p for p in surface.points if p.kind == "complete"]
    mean, sd = surface(np.array([surface.position(p.settings) for p in measured]))
    assert np.abs(mean - [p.accuracy for p in measured]).max() < 0.02
    [far] = surface(np.array([[0.0, 1.0, 1.0]]))[1]
    assert far > np.median(sd)


def test_the_surface_finds_the_best_rate(tuning):
    surface = Surface(tuning)
    leader = best(tuning.trials)
    assert leader is not None
    rates, mean, sd = surface.along(SPACE[1], leader.settings)
    assert (rates[0], rates[-1]) == pytest.approx((0.001, 1.0))
    assert 0.05 < rates[mean.argmax()] < 0.8
    assert (sd >= 0).all()
    grid = surface.slice(SPACE[1], SPACE[2], leader.settings, steps=15)
    assert grid["mean"].shape == grid["sd"].shape == (15, 15)
    # A row is a decay: along it, the rate moves, as in `along`.
    at = int(np.abs(np.log(grid["y"] / leader.settings["optim.weight_decay"])).argmin())
    assert 0.03 < grid["x"][grid["mean"][at].argmax()] <= 1.0
    assert np.ptp(grid["mean"].max(axis=0)) > np.ptp(grid["mean"].max(axis=1))


def test_too_few_trials_make_no_surface(tuning):
    with pytest.raises(ValueError, match="a surface needs 8 trials, got 5; search longer"):
        Surface(replace(tuning, trials=tuning.trials[:5]))


def test_the_running_best_never_falls_and_ends_at_the_best(tuning):
    curve = running_best(tuning.trials)
    leader = best(tuning.trials)
    assert leader is not None
    assert len(curve) == len(counted(tuning.trials))
    assert (np.diff(curve) >= 0).all()
    assert curve[-1] == leader.accuracy
    assert len(running_best([])) == 0


def test_random_orders_start_at_the_mean_and_end_at_the_best(tuning):
    found = [t.accuracy for t in counted(tuning.trials)]
    random = shuffled_best(tuning.trials, orders=4_000)
    assert random["mean"][0] == pytest.approx(np.mean(found), abs=0.02)
    assert (random["mean"][-1], random["low"][-1]) == pytest.approx((max(found), max(found)))
    assert (random["low"] <= random["high"]).all()
    assert (shuffled_best(tuning.trials, orders=4_000)["mean"] == random["mean"]).all()
