"""Mirrors cifar_lessons/speed/speedrun.py: the whole measurement, with tiny networks."""

from dataclasses import replace
from pathlib import Path

import pytest

from cifar_lessons import recipes
from cifar_lessons.config import DataConfig, ModelConfig, Recipe
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.errors import UserError
from cifar_lessons.speed import speedrun
from cifar_lessons.speed.projection import stages
from cifar_lessons.speedruns import REFERENCE, TARGETS


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> tuple[Recipe, Recipe]:
    """The two recipes with a small network, batch and data set."""
    data = synthetic(num_train=64, num_test=20, val_size=0)
    monkeypatch.setattr(speedrun, "load_or_synthetic", lambda *_, **__: data)
    monkeypatch.setattr(speedrun, "full_size", lambda data: data)
    made = []
    for name in (REFERENCE, *TARGETS):
        base = recipes.get(name)
        model = ModelConfig(name="speednet", options={"widths": [24, 24, 24]})
        part = 8 if base.micro_batch else None
        small = replace(base, model=model, batch_size=16, micro_batch=part)
        monkeypatch.setitem(recipes.RECIPES, name, lambda small=small: small)
        made.append(small)
    return made[0], made[-1]


def test_every_stage_and_the_scoring_are_measured_in_turns(tiny):
    result = speedrun.bench_speedrun(seconds=0.01, progress=False)
    values, facts = result["values"], result["provenance"]
    for recipe in tiny:
        found = values["rates"][recipe.name]
        assert set(found) == {stage.key for stage in stages(recipe)} | {"score"}
        assert all(len(rates) >= 3 and min(rates) > 0 for rates in found.values())
    assert values["runs"]["speednet_reference"]["ratio"] == 1.0
    assert values["runs"]["speednet"]["minutes"] > 0
    # The same for fewer epochs is not measured again, and has its minutes all the same.
    assert set(values["rates"]) == {REFERENCE, "speednet"}
    assert values["runs"]["speednet_90"]["minutes"] < values["runs"]["speednet"]["minutes"]
    assert values["synthetic"] is True
    assert {"load_average", "cores_busy_elsewhere", "threads"} <= set(facts)


def test_rested_stems_get_no_gradient_and_nothing_diverges(tiny):
    """A stage that secretly did the work of another would be timed wrong."""
    from cifar_lessons.data.loader import TrainLoader
    from cifar_lessons.runtime import detect

    recipe, runtime = tiny[1], detect(device="cpu")
    data = synthetic(num_train=64, num_test=20, val_size=0)
    loader = TrainLoader(data.train, DataConfig(val_size=0), batch_size=16, seed=0)
    for stage in stages(recipe):
        contender = speedrun._trainer(recipe, stage, loader, runtime)
        sides = []
        model = contender.step.__closure__
        assert model is not None
        network = next(c.cell_contents for c in model if hasattr(c.cell_contents, "stem"))
        network.stem.register_forward_hook(lambda _m, x, _y, sides=sides: sides.append(x[0].shape))
        assert contender.step(next(contender.batches)) == 16
        assert {shape[-1] for shape in sides} == {stage.side}
        assert (network.stem.bias.grad is not None) is stage.stem_learns


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_seconds_out_of_range(seconds):
    with pytest.raises(UserError, match="--seconds must be in"):
        speedrun.bench_speedrun(seconds=seconds, data=Path("nowhere"))


def test_an_unknown_recipe():
    with pytest.raises(UserError, match="no recipe 'speednett'"):
        speedrun.bench_speedrun(names=("speednett",))
