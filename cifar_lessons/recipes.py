"""Every experiment of the book: a function each; how it differs from its base is the experiment.

The command for any of them is `cifar-lessons train NAME`. `expects` is what the recipe should
give: a band for test accuracy, and minutes on two idle Zen 4 cores.
"""

from collections.abc import Callable
from dataclasses import replace

from cifar_lessons.config import (
    AugmentConfig,
    DataConfig,
    Distillation,
    Expectation,
    ModelConfig,
    OptimConfig,
    Recipe,
    ScheduleConfig,
)
from cifar_lessons.enas import arms
from cifar_lessons.errors import UserError, suggest
from cifar_lessons.few_labels import FEW_LABELS
from cifar_lessons.speedruns import SPEEDRUNS

FLIP = AugmentConfig(flip="random")
FLIP_CROP = AugmentConfig(flip="random", crop_padding=4)


def simple_cnn() -> Recipe:
    """The article's first network as printed, with Adam, without augmentation (C05).

    The article gives neither optimizer nor epochs: Adam at its default rate is what a reader
    of such a text would type.
    """
    return Recipe(
        name="simple_cnn",
        about="the article's first network, no augmentation",
        model=ModelConfig(name="simple_cnn"),
        optim=OptimConfig(
            name="adam", peak_lr=1e-3, weight_decay=0.0, schedule=ScheduleConfig(name="constant")
        ),
        seeds=5,
        expects=Expectation(low=0.71, high=0.76, minutes=2.5),
        keep_weights=True,  # against those of `simple_cnn_flip_crop` (chapter 8c)
    )


def simple_cnn_flip() -> Recipe:
    """`simple_cnn` with random horizontal flips (C03)."""
    return replace(
        simple_cnn(),
        name="simple_cnn_flip",
        about="… with random flips",
        data=DataConfig(augment=FLIP),
        expects=Expectation(low=0.73, high=0.79, minutes=2.5),
        keep_weights=False,
    )


def simple_cnn_flip_crop() -> Recipe:
    """`simple_cnn` with random flips and random crops."""
    return replace(
        simple_cnn(),
        name="simple_cnn_flip_crop",
        about="… with random flips and crops",
        data=DataConfig(augment=FLIP_CROP),
        expects=Expectation(low=0.75, high=0.82, minutes=2.5),
    )


def simple_cnn_fp32() -> Recipe:
    """`simple_cnn` in float32 alone (C11)."""
    return replace(
        simple_cnn(),
        name="simple_cnn_fp32",
        about="… in fp32 throughout",
        precision="fp32",
        seeds=3,
        expects=Expectation(low=0.71, high=0.76, minutes=4.0),
        keep_weights=False,
    )


def simple_cnn_truncated_std() -> Recipe:
    """`simple_cnn` normalised with the article's truncated standard deviation (C02)."""
    return replace(
        simple_cnn(),
        name="simple_cnn_truncated_std",
        about="… with std cut to 3 digits, as the article prints it",
        data=DataConfig(std=(0.247, 0.243, 0.261)),
        seeds=3,
        keep_weights=False,
    )


def simple_cnn_wrong_std() -> Recipe:
    """`simple_cnn` normalised with the mean of per-image standard deviations (C02)."""
    return replace(
        simple_cnn(),
        name="simple_cnn_wrong_std",
        about="… with the std that many repositories copy",
        data=DataConfig(std=(0.2023, 0.1994, 0.2010)),
        seeds=3,
        keep_weights=False,
    )


def deep_cnn() -> Recipe:
    """Four convolutions, 32-64-128-256, two pools: 4.14 times the weights of the first (C06)."""
    return Recipe(
        name="deep_cnn",
        about="four convolutions, two pools: 4.14x the weights",
        model=ModelConfig(name="deep_cnn", options={"widths": [32, 64, 128, 256], "pools": 2}),
        optim=OptimConfig(peak_lr=0.02),
        expects=Expectation(low=0.76, high=0.86, minutes=9.0),
    )


def deep_cnn_narrow() -> Recipe:
    """Four convolutions, 32-32-64-64, two pools: as many weights as `simple_cnn` (C06)."""
    return replace(
        deep_cnn(),
        name="deep_cnn_narrow",
        about="four narrow convolutions, two pools: 1.02x the weights",
        model=ModelConfig(name="deep_cnn", options={"widths": [32, 32, 64, 64], "pools": 2}),
        expects=Expectation(low=0.74, high=0.85, minutes=5.0),
    )


def deep_cnn_pool4() -> Recipe:
    """The widths of `deep_cnn` with four pools: deeper and smaller than `simple_cnn` (C06)."""
    return replace(
        deep_cnn(),
        name="deep_cnn_pool4",
        about="four convolutions, four pools: 0.43x the weights",
        model=ModelConfig(name="deep_cnn", options={"widths": [32, 64, 128, 256], "pools": 4}),
        expects=Expectation(low=0.74, high=0.85, minutes=3.0),
    )


def deep_cnn_bn() -> Recipe:
    """Four convolutions with batch normalisation, flips and crops (C06)."""
    return replace(
        deep_cnn(),
        name="deep_cnn_bn",
        about="four convolutions, three pools, batch norm, flips and crops",
        model=ModelConfig(
            name="deep_cnn",
            options={"widths": [32, 64, 128, 256], "pools": 3, "batch_norm": True},
        ),
        data=DataConfig(augment=FLIP_CROP),
        keep_weights=True,
        expects=Expectation(low=0.84, high=0.91, minutes=4.0),
    )


def tuning_base() -> Recipe:
    """A narrow `deep_cnn_bn` whose settings are searched (C21): a run takes about a minute.

    Batch norm, so that rates up to 1 can work; no dropout, so that weight decay alone restrains
    it. Its own settings are one end of the article's advice.
    """
    return replace(
        deep_cnn_bn(),
        name="tuning_base",
        about="four narrow convolutions with batch norm, for the search of settings",
        model=ModelConfig(
            name="deep_cnn",
            options={
                "widths": [16, 32, 64, 128],
                "pools": 4,
                "batch_norm": True,
                "hidden": 128,
                "dropout": 0.0,
            },
        ),
        optim=OptimConfig(peak_lr=0.1),
        epochs=8,
        seeds=0,  # its runs are kept as a search, not one by one
        keep_weights=False,
        expects=Expectation(low=0.72, high=0.86, minutes=1.3),
    )


def folds_base() -> Recipe:
    """The network of `tuning_base`, cross-validated in five folds (C04)."""
    base = tuning_base()
    return replace(
        base,
        name="folds_base",
        about="four narrow convolutions, in five folds",
        data=replace(base.data, folds=5),
        seeds=1,  # whose folds are kept one by one; repeats are kept as a study
        expects=Expectation(low=0.72, high=0.86, minutes=1.8, device="1 Zen 4 core"),
    )


def folds_wrong_labels() -> Recipe:
    """`folds_base` with a wrong label for one training image in twenty, to be found again."""
    base = folds_base()
    return replace(
        base,
        name="folds_wrong_labels",
        about="… with 5 % of the labels wrong on purpose",
        data=replace(base.data, wrong_labels=0.05),
    )


def resnet18_w16() -> Recipe:
    """ResNet-18 at a quarter of its width: the base of the ablations (C08)."""
    return Recipe(
        name="resnet18_w16",
        about="ResNet-18 at width 16",
        model=ModelConfig(name="resnet18", options={"width": 16}),
        data=DataConfig(augment=FLIP_CROP),
        keep_weights=True,
        expects=Expectation(low=0.87, high=0.92, minutes=10.0),
    )


def resnet18_w16_fp32() -> Recipe:
    """`resnet18_w16` in float32 alone (C11)."""
    return replace(
        resnet18_w16(),
        name="resnet18_w16_fp32",
        about="… in fp32 throughout",
        precision="fp32",
        expects=Expectation(low=0.87, high=0.92, minutes=16.0),
        keep_weights=False,
    )


def resnet18_w16_no_skip() -> Recipe:
    """`resnet18_w16` without its shortcuts."""
    return replace(
        resnet18_w16(),
        name="resnet18_w16_no_skip",
        about="… without shortcuts",
        model=ModelConfig(name="resnet18", options={"width": 16, "skip": False}),
        expects=None,
        keep_weights=False,
    )


def resnet18_w16_no_bn() -> Recipe:
    """`resnet18_w16` without batch normalisation, at a tenth of the rate.

    Normalisation is what makes a rate of 0.1 usable, so the plain network gets the usual smaller
    one. It was set before any run, and not tuned.
    """
    return replace(
        resnet18_w16(),
        name="resnet18_w16_no_bn",
        about="… without batch norm, at a tenth of the rate",
        model=ModelConfig(name="resnet18", options={"width": 16, "norm": False}),
        optim=OptimConfig(peak_lr=0.01),
        expects=None,
        keep_weights=False,
    )


def resnet18_w16_no_augment() -> Recipe:
    """`resnet18_w16` without flips and crops."""
    return replace(
        resnet18_w16(),
        name="resnet18_w16_no_augment",
        about="… without augmentation",
        data=DataConfig(),
        expects=None,
        keep_weights=True,  # how augmentation moves robustness (chapter 8c)
    )


def resnet18_w16_constant() -> Recipe:
    """`resnet18_w16` at a constant rate of 0.1."""
    return replace(
        resnet18_w16(),
        name="resnet18_w16_constant",
        about="… at a constant rate",
        optim=OptimConfig(schedule=ScheduleConfig(name="constant")),
        expects=None,
        keep_weights=False,
    )


def resnet18_w16_constant_low() -> Recipe:
    """`resnet18_w16` at a constant rate of 0.01 (C10)."""
    return replace(
        resnet18_w16_constant(),
        name="resnet18_w16_constant_low",
        about="… at a constant rate of 0.01",
        optim=OptimConfig(peak_lr=0.01, schedule=ScheduleConfig(name="constant")),
    )


def resnet18_w16_step() -> Recipe:
    """`resnet18_w16` at a tenth of the rate after 1/2 and again after 3/4 of the run (C10)."""
    return replace(
        resnet18_w16_constant(),
        name="resnet18_w16_step",
        about="… with a rate that falls in two steps",
        optim=OptimConfig(schedule=ScheduleConfig(name="step")),
    )


def resnet18_w16_cosine() -> Recipe:
    """`resnet18_w16` with a rate that falls along half a cosine, without warm-up (C10)."""
    return replace(
        resnet18_w16_constant(),
        name="resnet18_w16_cosine",
        about="… with a rate that falls along a cosine",
        optim=OptimConfig(schedule=ScheduleConfig(name="cosine")),
    )


def resnet18_w16_plateau() -> Recipe:
    """`resnet18_w16` with the article's ReduceLROnPlateau: patience 3, factor 0.5 (C10).

    Twelve epochs leave room for two cuts at most, after the fifth epoch and the ninth.
    """
    return replace(
        resnet18_w16_constant(),
        name="resnet18_w16_plateau",
        about="… with the article's plateau schedule",
        optim=OptimConfig(schedule=ScheduleConfig(name="plateau", factor=0.5, patience=3)),
    )


def resnet18_w16_plateau_printed() -> Recipe:
    """`resnet18_w16` with the article's optimizer to the letter (C10).

    It prints SGD(lr=0.1, momentum=0.9): no weight decay, no Nesterov; and ReduceLROnPlateau with
    patience 3 and factor 0.5.
    """
    plateau = resnet18_w16_plateau()
    return replace(
        plateau,
        name="resnet18_w16_plateau_printed",
        about="… with the article's optimizer to the letter: no decay",
        optim=replace(plateau.optim, nesterov=False, weight_decay=0.0),
    )


def resnet18() -> Recipe:
    """ResNet-18 at full width on all 50,000 images: the headline (C07)."""
    return Recipe(
        name="resnet18",
        about="ResNet-18, full width, all 50,000 images",
        model=ModelConfig(name="resnet18"),
        data=DataConfig(augment=FLIP_CROP, val_size=0),
        epochs=10,
        seeds=1,
        keep_weights=True,
        expects=Expectation(low=0.925, high=0.95, minutes=85.0),
    )


def resnet18_w32() -> Recipe:
    """ResNet-18 at half width."""
    return replace(
        resnet18_w16(),
        name="resnet18_w32",
        about="ResNet-18 at width 32",
        model=ModelConfig(name="resnet18", options={"width": 32}),
        expects=Expectation(low=0.90, high=0.94, minutes=30.0),
    )


def resnet34_w16() -> Recipe:
    """ResNet-34 at width 16 (C09)."""
    return replace(
        resnet18_w16(),
        name="resnet34_w16",
        about="ResNet-34 at width 16",
        model=ModelConfig(name="resnet34", options={"width": 16}),
        seeds=1,
        keep_weights=False,
        expects=Expectation(low=0.87, high=0.93, minutes=18.0),
    )


def resnet50_w16() -> Recipe:
    """ResNet-50 at width 16: bottleneck blocks, which the article's code lacks (C09)."""
    return replace(
        resnet34_w16(),
        name="resnet50_w16",
        about="ResNet-50 at width 16, bottleneck blocks",
        model=ModelConfig(name="resnet50", options={"width": 16}),
        expects=Expectation(low=0.85, high=0.93, minutes=30.0),
    )


# Augmented alike for every seed, so that a teacher answers once for all students.
SHARED_VIEWS = replace(FLIP_CROP, seed=0)


def mobilenet_w05() -> Recipe:
    """The student of the distillation arms, taught by labels alone (C15)."""
    return Recipe(
        name="mobilenet_w05",
        about="MobileNetV2, half width, stem of stride 2: labels alone",
        model=ModelConfig(name="mobilenet_v2", options={"width": 0.5, "stem_stride": 2}),
        data=DataConfig(augment=SHARED_VIEWS),
        keep_weights=True,
        expects=Expectation(low=0.78, high=0.89, minutes=8.0),
    )


def mobilenet_w05_article() -> Recipe:
    """… with the article's loss, whose teacher's term is ten times too small (C14, C15)."""
    return replace(
        mobilenet_w05(),
        name="mobilenet_w05_article",
        about="… with the article's loss as printed",
        objective=Distillation(temperature=3.0, teacher_weight=0.7, mean_over="elements"),
        keep_weights=False,
    )


def mobilenet_w05_kd() -> Recipe:
    """… with that loss put right, at the article's temperature and weight (C15)."""
    return replace(
        mobilenet_w05(),
        name="mobilenet_w05_kd",
        about="… with that loss put right: T 3, teacher's share 0.7",
        objective=Distillation(temperature=3.0, teacher_weight=0.7),
        keep_weights=False,
    )


def mobilenet_w05_kd_soft() -> Recipe:
    """… at the usual temperature and weight of the literature (C15)."""
    return replace(
        mobilenet_w05(),
        name="mobilenet_w05_kd_soft",
        about="… T 4, teacher's share 0.9",
        objective=Distillation(temperature=4.0, teacher_weight=0.9),
        keep_weights=False,
    )


def mobilenet_w05_dkd() -> Recipe:
    """… with decoupled distillation (C15).

    Its source takes 8 for the others, tuned for a hundred classes and with a warm-up of the term.
    At our rate that hardly learned in a trial of 200 steps on training images, so it was set to 2
    before any run was recorded (the page "What did not help").
    """
    return replace(
        mobilenet_w05(),
        name="mobilenet_w05_dkd",
        about="… with decoupled distillation",
        objective=Distillation(loss="dkd", temperature=4.0, others_weight=2.0),
        keep_weights=False,
    )


def mobilenet() -> Recipe:
    """MobileNetV2 at full width, full stem, taught by labels alone: the missing baseline (C15)."""
    return replace(
        mobilenet_w05(),
        name="mobilenet",
        about="MobileNetV2, full width: labels alone",
        model=ModelConfig(name="mobilenet_v2"),
        seeds=1,
        expects=Expectation(low=0.86, high=0.935, minutes=50.0),
    )


def mobilenet_kd() -> Recipe:
    """… taught by ResNet-18, with the half-width arm's loss that is best on validation (C15).

    Of the recorded arms `mobilenet_w05_kd`, `_kd_soft` and `_dkd` it is the one with the highest
    mean validation accuracy over its seeds; a test holds this to it.
    """
    return replace(
        mobilenet(),
        name="mobilenet_kd",
        about="… taught by ResNet-18: T 4, teacher's share 0.9",
        objective=mobilenet_w05_kd_soft().objective,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    make.__name__: make
    for make in (
        simple_cnn,
        simple_cnn_flip,
        simple_cnn_flip_crop,
        simple_cnn_truncated_std,
        simple_cnn_wrong_std,
        simple_cnn_fp32,
        deep_cnn_narrow,
        deep_cnn,
        deep_cnn_pool4,
        deep_cnn_bn,
        tuning_base,
        folds_base,
        folds_wrong_labels,
        resnet18,
        resnet18_w16,
        resnet18_w16_no_skip,
        resnet18_w16_no_bn,
        resnet18_w16_no_augment,
        resnet18_w16_constant,
        resnet18_w16_constant_low,
        resnet18_w16_plateau,
        resnet18_w16_plateau_printed,
        resnet18_w16_step,
        resnet18_w16_cosine,
        resnet18_w16_fp32,
        resnet18_w32,
        resnet34_w16,
        resnet50_w16,
        mobilenet_w05,
        mobilenet_w05_article,
        mobilenet_w05_kd,
        mobilenet_w05_kd_soft,
        mobilenet_w05_dkd,
        mobilenet,
        mobilenet_kd,
        *SPEEDRUNS,
        *FEW_LABELS,
    )
} | arms.MAKERS


def get(name: str) -> Recipe:
    """Return the registered recipe of that name.

    Raises:
        UserError: There is none; the nearest names are offered.
    """
    if name not in RECIPES:
        raise UserError(f"no recipe {name!r}: {suggest(name, RECIPES)} (`cifar-lessons list`)")
    return RECIPES[name]()


def needs(recipe: Recipe) -> Recipe | None:
    """Return the recipe whose seed 0 must be there before this one can train, if any.

    It gives the first weights, teaches, or finds the architecture.
    """
    if recipe.init is not None:
        return get(recipe.init)
    if recipe.objective.kind == "distillation":
        return get(recipe.objective.teacher)
    return get(arms.SEARCHES[recipe.name]) if recipe.name in arms.SEARCHES else None


def comparable() -> list[str]:
    """Return the recipes that answer one question: who learns most from all labels of the split.

    Those that learn from few labels, or from none, that search for a network, or whose runs are
    folds answer others.
    """
    known = {name: get(name) for name in RECIPES}
    return [
        name
        for name, r in known.items()
        if r.seeds
        and r.data.label_share == 1
        and not r.data.folds
        and not r.pretrains
        and r.objective.kind != "search"
    ]
