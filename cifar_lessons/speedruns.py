"""A network for minutes: the best one that so many minutes of two cores can train.

`speednet_reference` is a speedrun as its source has it, and `speednet` what a CPU makes of it. The
other recipes are for a reader with less time, each named for the accuracy that it was made for. Six
ideas are left out one at a time of the shortest: `WITHOUT` names the recipes. (The sixth idea, to
look again at the least sure images, needs no other training: both are scored for every run.)
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cifar_lessons.config import (
    AugmentConfig,
    DataConfig,
    Expectation,
    ModelConfig,
    MuonConfig,
    OptimConfig,
    Recipe,
    ScheduleConfig,
    Supervised,
    ViewsConfig,
)


def speednet_reference() -> Recipe:
    """The speedrun that sets the time to beat, as its source has it, on this library's loop.

    Source: airbench94 with Muon (Jordan and others, 2024, cifar10-airbench): 94.01 % over 200 runs
    on a GPU. Rates are per mean loss here and per summed loss there, hence a factor of 2,000, the
    batch; the head's is divided by 256**2 as well, since our logits are not divided by 256.
    """
    return Recipe(
        name="speednet_reference",
        about="the speedrun network as its source trains it",
        model=ModelConfig(name="speednet"),
        data=DataConfig(val_size=0, augment=AugmentConfig(flip="alternating", crop_padding=2)),
        objective=Supervised(label_smoothing=0.2),
        optim=OptimConfig(
            name="muon",
            peak_lr=0.24,
            momentum=0.6,
            weight_decay=0.004,
            schedule=ScheduleConfig(name="linear"),
            muon=MuonConfig(bias_lr=106.0, head_lr=0.0204, momentum=0.85, stem_share=0.375),
        ),
        epochs=8,
        batch_size=2_000,
        views=ViewsConfig(name="flip_shift"),
        seeds=2,
        expects=Expectation(low=0.925, high=0.94, minutes=17.6),
    )


def speednet() -> Recipe:
    """Meant for 94 % in 0.55 of the reference's time; parts fit the cache, small images first.

    Half the batch, with rates for it: those of SGD halve, Muon's falls by the square root. On
    validation images a batch of 1,000 learned more from as many images, and one of 500 no more
    still. Its four parts update batch norm's statistics four times as often, so each moves them
    less: 1 - 0.6 ** (1 / 4) is 0.12.
    """
    base = speednet_reference()
    rates = replace(base.optim.muon, bias_lr=53.0, head_lr=0.0102)
    return replace(
        base,
        name="speednet",
        about="94 % on a CPU: small images first, parts that fit the cache",
        model=ModelConfig(name="speednet", options={"norm_momentum": 0.12}),
        data=replace(base.data, sizes=((0.35, 20), (0.3, 26))),
        optim=replace(base.optim, peak_lr=0.17, weight_decay=0.002, muon=rates),
        batch_size=1_000,
        micro_batch=250,
        views=ViewsConfig(name="flip_shift", hardest=0.25),
        seeds=5,
        keep_weights=True,
        expects=Expectation(low=0.925, high=0.945, minutes=9.2),
    )


def speednet_93() -> Recipe:
    """93 %: `speednet` for fewer epochs."""
    return replace(
        speednet(),
        name="speednet_93",
        about="93 %: the same for fewer epochs",
        epochs=6,
        seeds=3,
        keep_weights=False,
        expects=Expectation(low=0.915, high=0.94, minutes=7.0),
    )


def speednet_92() -> Recipe:
    """92 %: half as many channels in the last two groups."""
    return replace(
        speednet_93(),
        name="speednet_92",
        about="92 %: half the channels",
        model=_narrow(),
        epochs=7,
        expects=Expectation(low=0.90, high=0.93, minutes=4.2),
    )


def speednet_90() -> Recipe:
    """90 % in a few minutes, and the base of what is left out."""
    return replace(
        speednet_92(),
        name="speednet_90",
        about="90 %: … for still fewer epochs",
        epochs=4,
        seeds=5,
        expects=Expectation(low=0.89, high=0.92, minutes=2.6),
    )


def _narrow(**changed: Any) -> ModelConfig:
    options = {**speednet().model.options, "widths": [64, 128, 128], **changed}
    return ModelConfig(name="speednet", options=options)


def speednet_90_full_size() -> Recipe:
    """`speednet_90` on images of 32 pixels from the start."""
    base = speednet_90()
    return replace(
        base,
        name="speednet_90_full_size",
        about="… without small images first",
        data=replace(base.data, sizes=()),
        expects=None,
    )


def speednet_90_whole_batch() -> Recipe:
    """`speednet_90` with the whole batch at once, and batch norm's memory as long as before."""
    return replace(
        speednet_90(),
        name="speednet_90_whole_batch",
        about="… without parts of a batch",
        model=_narrow(norm_momentum=0.4),
        micro_batch=None,
        expects=None,
    )


def speednet_90_learned_stem() -> Recipe:
    """`speednet_90` with a first layer that starts at random and learns."""
    return replace(
        speednet_90(),
        name="speednet_90_learned_stem",
        about="… without the whitening layer",
        model=_narrow(whiten=False),
        expects=None,
    )


def speednet_90_sgd() -> Recipe:
    """`speednet_90` with SGD for the filters as well, at the rate of the speedrun before Muon.

    Source: airbench94 (Jordan 2024, arXiv:2404.00498, listing 4): Nesterov's momentum of 0.85 and
    a rate of 0.001465 for each image of a batch; the decay of a step is ours already.
    """
    base = speednet_90()
    sgd = replace(base.optim.muon, orthogonal=False)
    return replace(
        base,
        name="speednet_90_sgd",
        about="… without Muon",
        optim=replace(
            base.optim, muon=sgd, peak_lr=round(0.001465 * base.batch_size, 4), momentum=0.85
        ),
        expects=None,
    )


def speednet_90_random_flip() -> Recipe:
    """`speednet_90` with a coin for each image and epoch."""
    base = speednet_90()
    return replace(
        base,
        name="speednet_90_random_flip",
        about="… with flips by chance",
        data=replace(base.data, augment=replace(base.data.augment, flip="random")),
        expects=None,
    )


SPEEDRUNS: tuple[Callable[[], Recipe], ...] = (
    speednet_reference,
    speednet,
    speednet_93,
    speednet_92,
    speednet_90,
    speednet_90_full_size,
    speednet_90_whole_batch,
    speednet_90_learned_stem,
    speednet_90_sgd,
    speednet_90_random_flip,
)
REFERENCE = "speednet_reference"  # the run to beat
# What each recipe was made for: mean test accuracy with further looks, a fraction.
TARGETS = {"speednet_90": 0.90, "speednet_92": 0.92, "speednet_93": 0.93, "speednet": 0.94}
ALL_IDEAS = "speednet_90"
# By idea, in the order of the chapter: the recipe that leaves it out.
WITHOUT = {
    "small images first": "speednet_90_full_size",
    "parts of a batch": "speednet_90_whole_batch",
    "whitening": "speednet_90_learned_stem",
    "Muon": "speednet_90_sgd",
    "alternating flips": "speednet_90_random_flip",
}
