"""The experiments of chapter 13 (C16): learning without labels, and then from few.

A network is pre-trained on all training images without their labels. Then a share of the labels
trains it further, or trains the same network from scratch: with the same labelled images (the seed
draws them), the same number of steps and the same augmentation. Rates are the usual ones of either
side, set before any run and not tuned: 0.1 from scratch, as for `resnet18_w16`; 0.02 for
fine-tuning, near what Chen et al. (2020), arXiv:2002.05709, appendix B.5, take (0.05 for each 256
images of a batch).

Minutes are arithmetic from a few timed steps of each kind on one core, not measured runs.
"""

from collections.abc import Callable
from dataclasses import replace

from cifar_lessons.config import (
    AugmentConfig,
    DataConfig,
    Expectation,
    ModelConfig,
    OptimConfig,
    PairConfig,
    Recipe,
    ScheduleConfig,
    SimClr,
    VicReg,
)

ONE_CORE = "1 Zen 4 core"
FINE = 0.02  # peak rate of fine-tuning


def simclr_w16() -> Recipe:
    """SimCLR on ResNet-18 at width 16, 40 epochs without labels (C16).

    Views of 24 pixels cost 0.56 of those of 32; the features are later taken at 32. AdamW in place
    of the source's LARS, which is for batches of thousands.
    """
    return Recipe(
        name="simclr_w16",
        about="SimCLR: no labels; its accuracy is a vote of neighbours",
        model=ModelConfig(name="resnet18", options={"width": 16}),
        data=DataConfig(pair=PairConfig()),
        objective=SimClr(),
        optim=OptimConfig(
            name="adamw",
            peak_lr=2e-3,
            weight_decay=1e-4,
            schedule=ScheduleConfig(name="cosine", warmup_epochs=2.0),
        ),
        epochs=40,
        batch_size=256,
        seeds=1,
        validate_every=5,
        keep_weights=True,
        expects=Expectation(low=0.55, high=0.80, minutes=62.0, device=ONE_CORE),
    )


def vicreg_w16() -> Recipe:
    """`simclr_w16` with VICReg's loss and head (C16)."""
    return replace(
        simclr_w16(),
        name="vicreg_w16",
        about="… VICReg: without comparing images with each other",
        objective=VicReg(),
        expects=Expectation(low=0.55, high=0.80, minutes=77.0, device=ONE_CORE),
    )


def _labelled(name: str, about: str, *, share: float, batch: int, epochs: int) -> Recipe:
    """Return training from scratch on a share of the labels, in about 1,400 steps."""
    return Recipe(
        name=name,
        about=about,
        model=ModelConfig(name="resnet18", options={"width": 16}),
        data=DataConfig(label_share=share, augment=AugmentConfig(flip="random", crop_padding=4)),
        epochs=epochs,
        batch_size=batch,
        validate_every=max(1, epochs // 10),
    )


def _tuned(base: Recipe, name: str, init: str, about: str) -> Recipe:
    """Return the same that begins with pre-trained features."""
    optim = replace(base.optim, peak_lr=FINE)
    return replace(base, name=name, about=about, init=init, optim=optim, expects=None)


def labels1_scratch() -> Recipe:
    """1 % of the labels, from scratch (C16)."""
    base = _labelled("labels1_scratch", "1 % of the labels", share=0.01, batch=64, epochs=200)
    return replace(base, expects=Expectation(low=0.28, high=0.52, minutes=3.0, device=ONE_CORE))


def labels1_simclr() -> Recipe:
    """… beginning with SimCLR's features."""
    return _tuned(labels1_scratch(), "labels1_simclr", "simclr_w16", "… after SimCLR")


def labels1_vicreg() -> Recipe:
    """… beginning with VICReg's features."""
    return _tuned(labels1_scratch(), "labels1_vicreg", "vicreg_w16", "… after VICReg")


def labels10_scratch() -> Recipe:
    """10 % of the labels, from scratch (C16)."""
    base = _labelled("labels10_scratch", "10 % of the labels", share=0.1, batch=128, epochs=40)
    return replace(base, expects=Expectation(low=0.58, high=0.78, minutes=5.5, device=ONE_CORE))


def labels10_simclr() -> Recipe:
    """… beginning with SimCLR's features."""
    return _tuned(labels10_scratch(), "labels10_simclr", "simclr_w16", "… after SimCLR")


def labels10_vicreg() -> Recipe:
    """… beginning with VICReg's features."""
    return _tuned(labels10_scratch(), "labels10_vicreg", "vicreg_w16", "… after VICReg")


def labels10_long() -> Recipe:
    """10 % of the labels, from scratch, with the compute of pre-training on top (C16).

    40 epochs of 45,000 pairs of 24 pixels are as many multiplications as 2.03 million images of 32,
    which is 452 more epochs of 35 steps of 128.
    """
    return replace(
        labels10_scratch(),
        name="labels10_long",
        about="… for as long as pre-training and fine-tuning take",
        epochs=492,
        validate_every=41,
        seeds=1,
        expects=Expectation(low=0.60, high=0.84, minutes=63.0, device=ONE_CORE),
    )


def labels100_simclr() -> Recipe:
    """All labels, beginning with SimCLR's features; `resnet18_w16_fp32` is from scratch (C16).

    Both in fp32, on any machine, so that the pair differs in its first weights and rate alone.
    """
    scratch = _labelled("resnet18_w16_fp32", "", share=1.0, batch=128, epochs=12)
    scratch = replace(scratch, validate_every=1, precision="fp32")
    made = _tuned(scratch, "labels100_simclr", "simclr_w16", "all labels, after SimCLR")
    return replace(made, expects=Expectation(low=0.86, high=0.92, minutes=15.0, device=ONE_CORE))


def labels2_scratch() -> Recipe:
    """2 % of the labels, from scratch: if time allows."""
    return _labelled("labels2_scratch", "2 % of the labels", share=0.02, batch=64, epochs=100)


def labels2_simclr() -> Recipe:
    """… beginning with SimCLR's features."""
    return _tuned(labels2_scratch(), "labels2_simclr", "simclr_w16", "… after SimCLR")


def labels05_scratch() -> Recipe:
    """Half a percent of the labels, from scratch: if time allows."""
    return _labelled("labels05_scratch", "0.5 % of the labels", share=0.005, batch=64, epochs=467)


def labels05_simclr() -> Recipe:
    """… beginning with SimCLR's features."""
    return _tuned(labels05_scratch(), "labels05_simclr", "simclr_w16", "… after SimCLR")


FEW_LABELS: tuple[Callable[[], Recipe], ...] = (
    simclr_w16,
    vicreg_w16,
    labels05_scratch,
    labels05_simclr,
    labels1_scratch,
    labels1_simclr,
    labels1_vicreg,
    labels2_scratch,
    labels2_simclr,
    labels10_scratch,
    labels10_simclr,
    labels10_vicreg,
    labels10_long,
    labels100_simclr,
)
