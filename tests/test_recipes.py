"""Mirrors cifar_lessons/recipes.py: every recipe is whole, and differs from its base as it says."""

import inspect

import pytest

from cifar_lessons import recipes
from cifar_lessons.config import Recipe
from cifar_lessons.enas import arms
from cifar_lessons.errors import UserError
from cifar_lessons.fields import NOT_COMPARED, differences, from_dict, to_dict
from cifar_lessons.models import build_model
from cifar_lessons.recipes import RECIPES
from cifar_lessons.speedruns import SPEEDRUNS, TARGETS, WITHOUT

every_recipe = pytest.mark.parametrize("name", list(RECIPES))


@every_recipe
def test_it_is_found_under_its_own_name(name):
    assert recipes.get(name) == RECIPES[name]()
    assert recipes.get(name).name == name


@every_recipe
def test_its_network_can_be_built(name):
    model = recipes.get(name).model
    if model.options.get("architecture", "").startswith("search:"):
        with pytest.raises(UserError, match="not found yet: `cifar-lessons search enas_"):
            build_model(model.name, **model.options)
        return
    assert build_model(model.name, **model.options).num_classes == 10


@every_recipe
def test_it_survives_the_way_through_a_dict(name):
    assert from_dict(Recipe, to_dict(recipes.get(name))) == recipes.get(name)


@every_recipe
def test_it_says_what_it_is_and_what_to_expect(name):
    recipe = recipes.get(name)
    assert 0 < len(recipe.about) <= 70
    assert (inspect.getdoc(RECIPES[name]) or "").splitlines()[0].endswith(".")
    if recipe.expects:
        assert 0.1 < recipe.expects.low < recipe.expects.high < 1
        assert recipe.expects.minutes > 0


def test_no_two_are_the_same_experiment():
    compared = [
        {k: v for k, v in to_dict(make()).items() if k not in (*NOT_COMPARED, "name")}
        for make in RECIPES.values()
    ]
    assert all(compared.count(one) == 1 for one in compared)


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(UserError) as error:
        recipes.get("resnet81")
    assert "no recipe 'resnet81': did you mean 'resnet" in str(error.value)
    assert "`cifar-lessons list`" in str(error.value)


# --- the difference is the experiment ---------------------------------------------------------

AFTER_SIMCLR = {
    "init: recorded None, now 'simclr_w16'",
    "optim.peak_lr: recorded 0.1, now 0.02",
}
VICREG_FIRST = {"init: recorded 'simclr_w16', now 'vicreg_w16'"}
ARMS = {
    # C03: augmentation alone
    ("simple_cnn", "simple_cnn_flip"): {"data.augment.flip: recorded 'none', now 'random'"},
    ("simple_cnn", "simple_cnn_flip_crop"): {
        "data.augment.crop_padding: recorded 0, now 4",
        "data.augment.flip: recorded 'none', now 'random'",
    },
    # C02: the constants alone
    ("simple_cnn", "simple_cnn_truncated_std"): {
        "data.std: recorded [0.247, 0.2435, 0.2616], now [0.247, 0.243, 0.261]"
    },
    ("simple_cnn", "simple_cnn_wrong_std"): {
        "data.std: recorded [0.247, 0.2435, 0.2616], now [0.2023, 0.1994, 0.201]"
    },
    # C06: widths and pools alone, but for the one that says what it adds
    ("deep_cnn", "deep_cnn_narrow"): {
        "model.options.widths: recorded [32, 64, 128, 256], now [32, 32, 64, 64]"
    },
    ("deep_cnn", "deep_cnn_pool4"): {"model.options.pools: recorded 2, now 4"},
    ("deep_cnn", "deep_cnn_bn"): {
        "data.augment.crop_padding: recorded 0, now 4",
        "data.augment.flip: recorded 'none', now 'random'",
        "model.options.batch_norm: recorded not set, now True",
        "model.options.pools: recorded 2, now 3",
    },
    # C21: narrower, without dropout, and at one end of the article's advice
    ("deep_cnn_bn", "tuning_base"): {
        "epochs: recorded 12, now 8",
        "model.options.dropout: recorded not set, now 0.0",
        "model.options.hidden: recorded not set, now 128",
        "model.options.pools: recorded 3, now 4",
        "model.options.widths: recorded [32, 64, 128, 256], now [16, 32, 64, 128]",
        "optim.peak_lr: recorded 0.02, now 0.1",
    },
    # C04: folds alone, and then wrong labels alone
    ("tuning_base", "folds_base"): {"data.folds: recorded 0, now 5"},
    ("folds_base", "folds_wrong_labels"): {"data.wrong_labels: recorded 0.0, now 0.05"},
    # C08: one thing taken away; without batch norm the rate must fall too
    ("resnet18_w16", "resnet18_w16_no_skip"): {"model.options.skip: recorded not set, now False"},
    ("resnet18_w16", "resnet18_w16_no_bn"): {
        "model.options.norm: recorded not set, now False",
        "optim.peak_lr: recorded 0.1, now 0.01",
    },
    ("resnet18_w16", "resnet18_w16_no_augment"): {
        "data.augment.crop_padding: recorded 4, now 0",
        "data.augment.flip: recorded 'random', now 'none'",
    },
    ("resnet18_w16", "resnet18_w16_constant"): {
        "optim.schedule.name: recorded 'one_cycle', now 'constant'"
    },
    # C10: the rate alone; the last one is the article's optimizer, whatever else that changes
    ("resnet18_w16_constant", "resnet18_w16_constant_low"): {
        "optim.peak_lr: recorded 0.1, now 0.01"
    },
    ("resnet18_w16_constant", "resnet18_w16_step"): {
        "optim.schedule.name: recorded 'constant', now 'step'"
    },
    ("resnet18_w16_constant", "resnet18_w16_cosine"): {
        "optim.schedule.name: recorded 'constant', now 'cosine'"
    },
    ("resnet18_w16_constant", "resnet18_w16_plateau"): {
        "optim.schedule.factor: recorded 0.1, now 0.5",
        "optim.schedule.name: recorded 'constant', now 'plateau'",
    },
    ("resnet18_w16_plateau", "resnet18_w16_plateau_printed"): {
        "optim.nesterov: recorded True, now False",
        "optim.weight_decay: recorded 0.0005, now 0.0",
    },
    ("resnet18_w16", "resnet18_w32"): {"model.options.width: recorded 16, now 32"},
    # The speedrun: what saves time on a CPU
    ("speednet_reference", "speednet"): {
        "batch_size: recorded 2000, now 1000",
        "data.sizes: recorded [], now [[0.35, 20], [0.3, 26]]",
        "micro_batch: recorded None, now 250",
        "model.options.norm_momentum: recorded not set, now 0.12",
        "optim.muon.bias_lr: recorded 106.0, now 53.0",
        "optim.muon.head_lr: recorded 0.0204, now 0.0102",
        "optim.peak_lr: recorded 0.24, now 0.17",
        "optim.weight_decay: recorded 0.004, now 0.002",
        "views.hardest: recorded 1.0, now 0.25",
    },
    # Less time, and then one idea left out
    ("speednet", "speednet_93"): {"epochs: recorded 8, now 6"},
    ("speednet_93", "speednet_92"): {
        "epochs: recorded 6, now 7",
        "model.options.widths: recorded not set, now [64, 128, 128]",
    },
    ("speednet_92", "speednet_90"): {"epochs: recorded 7, now 4"},
    ("speednet_90", "speednet_90_full_size"): {
        "data.sizes: recorded [[0.35, 20], [0.3, 26]], now []",
    },
    ("speednet_90", "speednet_90_whole_batch"): {
        "micro_batch: recorded 250, now None",
        "model.options.norm_momentum: recorded 0.12, now 0.4",
    },
    ("speednet_90", "speednet_90_learned_stem"): {
        "model.options.whiten: recorded not set, now False",
    },
    ("speednet_90", "speednet_90_sgd"): {
        "optim.momentum: recorded 0.6, now 0.85",
        "optim.muon.orthogonal: recorded True, now False",
        "optim.peak_lr: recorded 0.17, now 1.465",
    },
    ("speednet_90", "speednet_90_random_flip"): {
        "data.augment.flip: recorded 'alternating', now 'random'",
    },
    # C11: the precision alone
    ("simple_cnn", "simple_cnn_fp32"): {"precision: recorded 'auto', now 'fp32'"},
    ("resnet18_w16", "resnet18_w16_fp32"): {"precision: recorded 'auto', now 'fp32'"},
    # C15: the loss alone
    ("mobilenet_w05", "mobilenet_w05_kd"): {
        "objective.kind: recorded 'supervised', now 'distillation'",
        "objective.label_smoothing: recorded 0.0, now not set",
        "objective.loss: recorded not set, now 'kd'",
        "objective.mean_over: recorded not set, now 'images'",
        "objective.others_weight: recorded not set, now 8.0",
        "objective.target_weight: recorded not set, now 1.0",
        "objective.teacher: recorded not set, now 'resnet18'",
        "objective.teacher_weight: recorded not set, now 0.7",
        "objective.temperature: recorded not set, now 3.0",
    },
    ("mobilenet_w05_kd", "mobilenet_w05_article"): {
        "objective.mean_over: recorded 'images', now 'elements'"
    },
    ("mobilenet_w05_kd", "mobilenet_w05_kd_soft"): {
        "objective.teacher_weight: recorded 0.7, now 0.9",
        "objective.temperature: recorded 3.0, now 4.0",
    },
    ("mobilenet_w05_kd_soft", "mobilenet_w05_dkd"): {
        "objective.loss: recorded 'kd', now 'dkd'",
        "objective.others_weight: recorded 8.0, now 2.0",
    },
    # C15: the same at full width, and there the loss alone
    ("mobilenet_w05", "mobilenet"): {
        "model.options.stem_stride: recorded 2, now not set",
        "model.options.width: recorded 0.5, now not set",
    },
    ("mobilenet_w05_kd_soft", "mobilenet_kd"): {
        "model.options.stem_stride: recorded 2, now not set",
        "model.options.width: recorded 0.5, now not set",
    },
    # C16: few labels, then where the weights begin, and the rate of that side
    ("resnet18_w16", "labels1_scratch"): {
        "batch_size: recorded 128, now 64",
        "data.label_share: recorded 1.0, now 0.01",
        "epochs: recorded 12, now 200",
    },
    ("labels1_scratch", "labels1_simclr"): AFTER_SIMCLR,
    ("labels1_simclr", "labels1_vicreg"): VICREG_FIRST,
    ("labels1_scratch", "labels2_scratch"): {
        "data.label_share: recorded 0.01, now 0.02",
        "epochs: recorded 200, now 100",
    },
    ("labels2_scratch", "labels2_simclr"): AFTER_SIMCLR,
    ("labels1_scratch", "labels05_scratch"): {
        "data.label_share: recorded 0.01, now 0.005",
        "epochs: recorded 200, now 467",
    },
    ("labels05_scratch", "labels05_simclr"): AFTER_SIMCLR,
    ("resnet18_w16", "labels10_scratch"): {
        "data.label_share: recorded 1.0, now 0.1",
        "epochs: recorded 12, now 40",
    },
    ("labels10_scratch", "labels10_simclr"): AFTER_SIMCLR,
    ("labels10_simclr", "labels10_vicreg"): VICREG_FIRST,
    ("labels10_scratch", "labels10_long"): {"epochs: recorded 40, now 492"},
    ("resnet18_w16_fp32", "labels100_simclr"): AFTER_SIMCLR,
    ("simclr_w16", "vicreg_w16"): {
        "objective.covariance: recorded not set, now 1.0",
        "objective.hidden: recorded 512, now 1024",
        "objective.invariance: recorded not set, now 25.0",
        "objective.kind: recorded 'simclr', now 'vicreg'",
        "objective.out: recorded 128, now 1024",
        "objective.temperature: recorded 0.5, now not set",
        "objective.variance: recorded not set, now 25.0",
    },
    # C09: the depth alone
    ("resnet18_w16", "resnet34_w16"): {"model.name: recorded 'resnet18', now 'resnet34'"},
    ("resnet18_w16", "resnet50_w16"): {"model.name: recorded 'resnet18', now 'resnet50'"},
}


@pytest.mark.parametrize(("base", "arm"), ARMS, ids=lambda name: name)
def test_an_arm_differs_from_its_base_as_it_says(base, arm):
    found = differences(to_dict(recipes.get(base)), recipes.get(arm))
    assert {line for line in found if not line.startswith("name: ")} == ARMS[base, arm]


def test_every_recipe_is_a_base_or_an_arm():
    """A new recipe says above what it changes, or here that it stands alone."""
    # The headline: all 50,000 images, fewer epochs, full width. And learning without labels.
    alone = {"resnet18", "simclr_w16"}
    searched = set(arms.MAKERS)  # tests/enas/test_arms.py
    assert {name for pair in ARMS for name in pair} | alone | searched == set(RECIPES)


def test_a_comparison_has_a_validation_split_and_a_headline_has_none():
    data = {name: make().data for name, make in RECIPES.items()}
    without = {name for name, d in data.items() if not (d.val_size or d.folds)}
    # The speedrun trains for a target, and each idea is left out of a run that does.
    assert without == {"resnet18", *(make.__name__ for make in SPEEDRUNS)}


def test_few_labels_are_used_for_about_as_many_steps():
    """1,400, whatever the share; the control gets the pixels of pre-training on top."""
    steps = {}
    for name, make in RECIPES.items():
        r = make()
        if r.data.label_share < 1 and name != "labels10_long":
            steps[name] = r.epochs * (round(45_000 * r.data.label_share) // r.batch_size)
    assert len(steps) == 10
    assert all(abs(n - 1_400) <= 10 for n in steps.values()), steps
    pre, long, short = (recipes.get(n) for n in ("simclr_w16", "labels10_long", "labels10_scratch"))
    pixels = pre.epochs * (45_000 // 256) * 256 * 2 * 24**2
    extra = (long.epochs - short.epochs) * (4_500 // 128) * 128 * 32**2
    assert extra == pytest.approx(pixels, rel=0.01)


def test_what_compares_learns_from_all_labels_with_seeds_of_its_own():
    names = recipes.comparable()
    assert {"simple_cnn", "resnet18", "speednet", "mobilenet_kd", "enas_conv3"} <= set(names)
    others = {"tuning_base", "folds_base", "labels1_simclr", "simclr_w16", "enas_search"}
    assert not others & set(names)


def test_a_recipe_is_named_for_the_accuracy_that_it_was_made_for():
    for name, target in TARGETS.items():
        assert name in ("speednet", f"speednet_{100 * target:g}")
        assert recipes.get(name).views is not None


def test_every_recipe_without_an_idea_runs_for_the_seeds_of_the_one_with_all():
    assert {recipes.get(name).seeds for name in ("speednet_90", *WITHOUT.values())} == {5}
