"""Mirrors cifar_lessons/config.py: what a recipe refuses, and which runs it plans."""

import dataclasses
from dataclasses import replace

import pytest
import torch

from cifar_lessons import recipes
from cifar_lessons.config import (
    ArchitectureSearch,
    AugmentConfig,
    DataConfig,
    Distillation,
    ModelConfig,
    OptimConfig,
    PairConfig,
    Recipe,
    ScheduleConfig,
    SimClr,
    VicReg,
    ViewsConfig,
    in_fold,
    planned_runs,
)
from cifar_lessons.errors import UserError
from cifar_lessons.fields import differences, override, to_dict

# --- two views, and no labels -----------------------------------------------------------------


@pytest.fixture(params=[SimClr(temperature=0.2, hidden=64, out=32), VicReg(variance=5.0)])
def without_labels(request) -> Recipe:
    return Recipe(
        name="pre",
        model=ModelConfig(name="resnet18"),
        data=DataConfig(pair=PairConfig(side=20, hue=0.2)),
        objective=request.param,
    )


# --- ranges -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("epochs=0", "epochs must be in [1, 10000], got 0; try 12"),
        ("batch_size=0", "batch_size must be in [1, 50000], got 0; try 128"),
        ("batch_size=50001", "batch_size must be in [1, 50000], got 50001; try 128"),
        ("ema_decay=1", "ema_decay must be in (0, 1) or null, got 1.0; try 0.999"),
        ("ema_decay=0", "ema_decay must be in (0, 1) or null, got 0.0; try 0.999"),
        ("data.val_size=-1", "data.val_size must be in [0, 40000], got -1; try 5000"),
        ("data.std=[0.1,0,0.1]", "data.std must be in (0, 1], got (0.1, 0.0, 0.1); try [0.247,"),
        ("data.std=[0.1,NaN,0.1]", "data.std must be in (0, 1], got (0.1, nan, 0.1)"),
        ("data.mean=[125,123,114]", "data.mean must be in [0, 1], got (125.0, 123.0, 114.0)"),
        ("data.augment.crop_padding=17", "crop_padding must be in [0, 16], got 17; try 4"),
        ("data.augment.cutout=33", "data.augment.cutout must be in [0, 32], got 33; try 8"),
        ("objective.label_smoothing=1", "label_smoothing must be in [0, 1), got 1.0; try 0.1"),
        ("optim.peak_lr=0", "optim.peak_lr must be in (0, 100], got 0.0; try 0.1"),
        ("optim.peak_lr=NaN", "optim.peak_lr must be in (0, 100], got nan; try 0.1"),
        ("optim.peak_lr=" + "9" * 400, "optim.peak_lr must be in (0, 100], got inf; try 0.1"),
        ("optim.momentum=1", "optim.momentum must be in [0, 1), got 1.0; try 0.9"),
        ("optim.weight_decay=-1", "optim.weight_decay must be in [0, 1), got -1.0; try 5e-4"),
        ("optim.clip_norm=0", "optim.clip_norm must be > 0 or null, got 0.0; try 1.0"),
        ("optim.schedule.factor=1", "schedule.factor must be in (0, 1), got 1.0; try 0.1"),
        ("optim.schedule.patience=-1", "schedule.patience must be >= 0, got -1; try 3"),
        ("optim.schedule.warmup_share=0", "warmup_share must be in (0, 1), got 0.0; try 0.25"),
        ("optim.schedule.warmup_epochs=-1", "warmup_epochs must be >= 0, got -1.0; try 1.0"),
        (
            "optim.schedule.warmup_epochs=13",
            "warmup_epochs must be at most the 12 epochs of the run, got 13.0; try 1.0",
        ),
        ("micro_batch=0", "micro_batch must be in [1, 128], the batch size, or null, got 0; try"),
        ("micro_batch=129", "micro_batch must be in [1, 128], the batch size, or null, got 129"),
        (
            "data.sizes=[[0.5,8]]",
            "a side in [10, 32], the shares at most 1 together, got ((0.5, 8)",
        ),
        ("data.sizes=[[0,20]]", "data.sizes must be pairs of a share > 0"),
        ("data.sizes=[[0.6,20],[0.6,26]]", "got ((0.6, 20), (0.6, 26)); try [[0.35, 20], [0.3, 26"),
        ("optim.muon.bias_lr=0", "optim.muon.bias_lr must be in (0, 10000], got 0.0; try 0.1"),
        ("optim.muon.stem_share=0", "optim.muon.stem_share must be in (0, 1], got 0.0; try 0.4"),
        ("optim.muon.momentum=1", "optim.muon.momentum must be in [0, 1), got 1.0; try 0.85"),
        ("optim.schedule.milestones=[0.5,1]", "in (0, 1), got (0.5, 1.0); try [0.5, 0.75]"),
        ("data.folds=1", "data.folds must be in [2, 50], or 0 for none, got 1; try 5"),
        ("data.folds=51", "data.folds must be in [2, 50], or 0 for none, got 51; try 5"),
        ("data.folds=-1", "data.folds must be in [2, 50], or 0 for none, got -1; try 5"),
        ("data.fold=-1", "data.fold must be in [0, 50], got -1; try 0"),
        ("data.label_share=0", "data.label_share must be in (0, 1], got 0.0; try 0.1"),
        ("data.label_share=5", "data.label_share must be in (0, 1], got 5.0; try 0.1"),
        ("validate_every=0", "validate_every must be >= 1, and 1 for the plateau schedule"),
        ("data.wrong_labels=1", "data.wrong_labels must be in [0, 1), got 1.0; try 0.05"),
        ("name=../elsewhere", "name must be letters, digits and _, got '../elsewhere'; try my_cnn"),
    ],
)
def test_a_value_out_of_range_is_told_with_one_that_works(assignment, message):
    with pytest.raises(UserError) as error:
        override(recipes.simple_cnn(), assignment)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: ScheduleConfig(name="onecycle"), "optim.schedule.name must be one of 'constant',"),
        (lambda: OptimConfig(name="rmsprop"), "optim.name must be one of 'sgd', 'adam', 'adamw',"),
        (lambda: AugmentConfig(flip=True), "data.augment.flip must be one of 'none', 'random',"),
        (lambda: DataConfig(dataset="mnist"), "data.dataset must be one of 'cifar10', 'cifar100'"),
        (lambda: Distillation(loss="mse"), "objective.loss must be one of 'kd', 'dkd', got 'mse'"),
        (lambda: ViewsConfig(name="crop"), "views.name must be one of 'flip', 'flip_shift', got"),
        (lambda: ArchitectureSearch(controller="rnn"), "objective.controller must be one of"),
        (lambda: replace(recipes.simple_cnn(), precision="fp8"), "precision must be one of 'auto'"),
    ],
)
def test_a_word_that_a_field_does_not_know_is_refused_from_python_too(made, said):
    """Else an unknown schedule would be a constant one, and an unknown optimizer AdamW."""
    with pytest.raises(UserError) as error:
        made()
    assert str(error.value).startswith(said)
    assert "; try '" in str(error.value)


@pytest.mark.parametrize(
    ("part", "value"), [("objective", "focal"), ("model", torch.nn.Linear(2, 2)), ("optim", "sgd")]
)
def test_a_recipe_is_plain_data(part, value):
    with pytest.raises(
        TypeError, match=rf"{part} must be a table of .* got a {type(value).__name__}"
    ):
        replace(recipes.simple_cnn(), **{part: value})


def test_plateau_needs_a_validation_split():
    without = override(recipes.simple_cnn(), "data.val_size=0")
    with pytest.raises(UserError, match=r"data.val_size must be > 0 for the plateau .* got 0; try"):
        override(without, "optim.schedule.name=plateau")


# --- folds ------------------------------------------------------------------------------------


def test_a_fold_draws_its_partition_from_the_seed_of_the_run():
    base = recipes.simple_cnn()
    found = in_fold(base, 3, folds=5, seed=7)
    assert (found.data.folds, found.data.fold, found.data.split_seed) == (5, 3, 7)
    changed = {line.partition(":")[0] for line in differences(to_dict(base), found)}
    assert changed == {"data.folds", "data.fold", "data.split_seed"}


@pytest.mark.parametrize(
    ("fold", "folds", "said"),
    [
        (5, 5, r"data.fold must be in \[0, 4\], got 5; try 0"),
        (0, 1, r"data.folds must be in \[2, 50\], or 0 for none, got 1; try 5"),
    ],
)
def test_a_fold_that_there_is_not_is_told(fold, folds, said):
    with pytest.raises(UserError, match=said):
        in_fold(recipes.simple_cnn(), fold, folds=folds, seed=0)


def test_a_schedule_that_watches_the_held_out_images_is_refused_in_cross_validation():
    plateau = recipes.get("resnet18_w16_plateau")
    with pytest.raises(UserError, match=r"optim.schedule.name must be one that does not watch the"):
        in_fold(plateau, 0, folds=5, seed=0)


def test_a_plan_has_a_run_a_seed_or_a_run_a_seed_and_fold():
    base = recipes.simple_cnn()
    assert planned_runs(base) == [(seed, base) for seed in range(5)]
    crossed = dataclasses.replace(
        base, seeds=2, data=dataclasses.replace(base.data, folds=3, fold=0)
    )
    assert [(s, r.data.split_seed, r.data.fold) for s, r in planned_runs(crossed)] == [
        *((0, 0, 0), (0, 0, 1), (0, 0, 2), (1, 1, 0), (1, 1, 1), (1, 1, 2))
    ]


def test_the_share_of_images_that_get_views_is_in_range():
    for hardest in (0.0, 1.5):
        with pytest.raises(UserError, match=rf"views.hardest must be in \(0, 1\], got {hardest}"):
            ViewsConfig(hardest=hardest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.0}, r"objective.temperature must be in \(0, 100\], got 0.0; try 4.0"),
        ({"teacher_weight": 1.5}, r"objective.teacher_weight must be in \[0, 1\], got 1.5"),
        ({"others_weight": -1.0}, r"objective.others_weight must be in \[0, 100\], got -1.0"),
    ],
)
def test_a_distillation_out_of_range_names_the_value_and_a_mend(change, message):
    with pytest.raises(UserError, match=message):
        Distillation(**change)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("batch_size=1", "batch_size must be at least 2 for '"),
        ("micro_batch=64", "micro_batch must be null for '"),
        ("data.sizes=[[0.5,16]]", "data.sizes must be [] for '"),
        ("data.label_share=0.1", "data.label_share must be 1 for '"),
        ("views.name=flip", "views must be null for '"),
        ("data.pair=null", "data.pair must be set for the objective '"),
        ("data.augment.flip=random", "data.augment must be left as it is beside data.pair"),
        ("data.pair.side=40", "data.pair.side must be in [10, 32], got 40; try 24"),
        ("data.pair.hue=0.7", "data.pair.hue must be in [0, 0.5], got 0.7; try 0.1"),
        ("data.pair.smallest=0", "data.pair.smallest must be in (0, 1], got 0.0; try 0.2"),
        ("objective.hidden=1", "objective.hidden must be in [2, 8192], got 1; try 512"),
    ],
)
def test_what_a_recipe_without_labels_cannot_use_is_told(without_labels, assignment, message):
    with pytest.raises(UserError) as error:
        override(without_labels, assignment)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_labels_cannot_use_pairs():
    with pytest.raises(UserError, match=r"data\.pair must be null for the objective"):
        override(recipes.simple_cnn(), "data.pair.side=24")


def test_a_plateau_looks_at_validation_every_epoch():
    with pytest.raises(UserError, match="and 1 for the plateau schedule"):
        override(recipes.resnet18_w16_plateau(), "validate_every=2")
