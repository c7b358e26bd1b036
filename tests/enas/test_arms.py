"""Mirrors cifar_lessons/enas/arms.py: the experiment is the architecture, and nothing else."""

import pytest

from cifar_lessons import recipes, runs
from cifar_lessons.enas.arms import ALONE, CONTROLS, MAKERS, PURE, SEARCHES, TARGET
from cifar_lessons.enas.cost import multiplications
from cifar_lessons.enas.space import parse, plain
from cifar_lessons.errors import UserError
from cifar_lessons.fields import differences, to_dict

BEST = plain(["c5", "s3", "c3", "s5", "c3", "mp"])  # of the made-up record
OPTIONS = ("model.options.architecture", "model.options.width")


@pytest.mark.parametrize("name", [n for n in MAKERS if n not in SEARCHES.values()])
def test_networks_alone_differ_in_architecture_and_width_alone(name):
    base = to_dict(recipes.get("enas_conv3"))
    found = [line.partition(":")[0] for line in differences(base, recipes.get(name))]
    assert set(found) <= {*OPTIONS, "name"}


def test_the_searches_differ_in_the_controller_alone():
    base, other = recipes.get("enas_search"), recipes.get("enas_uniform")
    assert differences(to_dict(base), other) == [
        "name: recorded 'enas_search', now 'enas_uniform'",
        "objective.controller: recorded 'reinforce', now 'uniform'",
    ]


def test_constants_are_those_of_the_source():
    """github.com/melodyguan/enas: scripts/cifar10_macro_search.sh, src/cifar10/main.py."""
    recipe = recipes.get("enas_search")
    search = recipe.objective
    assert (search.updates_per_epoch, search.rewards_per_update) == (50, 20)
    assert (search.tanh_constant, search.entropy_weight, search.controller_lr) == (1.5, 1e-4, 1e-3)
    assert (search.skip_target, search.skip_weight, search.baseline_decay) == (0.4, 0.8, 0.99)
    assert search.temperature == 1.0  # not set there
    optim = recipe.optim
    assert (optim.peak_lr, optim.momentum, optim.nesterov, optim.clip_norm) == (0.05, 0.9, True, 5)
    assert optim.weight_decay == 2 * 0.00025  # the l2 term there has no half
    assert optim.schedule.floor * optim.peak_lr == pytest.approx(0.0005)
    assert (recipe.batch_size, recipe.epochs) == (128, 10 + 20)
    assert recipe.data.val_size == 5_000


def test_the_random_architectures_are_what_they_were():
    """Pinned: drawn before any search, and recorded results rest on them."""
    first = [str(CONTROLS[f"enas_random{k}"][0]) for k in range(9)]
    assert len(set(first)) == 9
    assert first[0] == "c3/ap+0/c3/ap/ap+2/c5+1+3"
    assert first[7] == "c5/ap+0/s5+1/s3+0+1/mp+2/c5+2+3+4"


def test_five_seeds_for_what_the_claim_rests_on_and_two_for_the_rest():
    assert {n: recipes.get(n).seeds for n in CONTROLS} == {
        n: 5 if n in PURE else 2 for n in CONTROLS
    }


@pytest.mark.parametrize(("name", "search"), SEARCHES.items())
def test_before_a_search_is_recorded_its_recipe_says_what_to_type(
    name, search, monkeypatch, tmp_path
):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    recipe = recipes.get(name)
    assert recipe.seeds == 0
    assert recipe.about == f"search first: cifar-lessons search {search}; then record it"
    with pytest.raises(ValueError, match=f"`cifar-lessons search {search}` first"):
        parse(recipe.model.options["architecture"])


def test_once_it_is_recorded_the_recipe_is_the_found_network_at_equal_cost(recorded_search):
    recorded_search()
    recipe = recipes.get("enas_found")
    options = recipe.model.options
    assert (options["architecture"], recipe.seeds) == (str(BEST), 5)
    assert multiplications(BEST, options["width"]) == pytest.approx(TARGET, rel=0.05)
    assert recipes.get("enas_found_uniform").seeds == 0


def test_a_search_with_other_settings_is_no_search(recorded_search, monkeypatch):
    from dataclasses import replace

    recorded_search()
    changed = replace(recipes.get("enas_search"), epochs=3)
    monkeypatch.setitem(MAKERS, "enas_search", lambda: changed)
    assert recipes.get("enas_found").seeds == 0


def test_a_damaged_record_is_told(recorded_search):
    path = recorded_search() / "enas_search" / "seed0" / "run.json"
    path.write_text(path.read_text().replace('"best": "c5', '"best": "c9'))
    with pytest.raises(UserError, match=r"enas_search cannot be read .* record it again"):
        recipes.get("enas_found")


def test_every_network_alone_is_a_recipe():
    assert set(ALONE) <= set(recipes.RECIPES)
    assert runs.train_command(recipes.get("enas_search"), 0) == (
        "cifar-lessons search enas_search --seed 0"
    )
