"""What a run is, as plain frozen data: a `Recipe` and its parts.

A recipe holds everything that moves the result and nothing that does not (device, folders and
progress bars are arguments elsewhere). Two runs may be compared field by field, and the
difference between two recipes *is* the experiment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_origin

from cifar_lessons.errors import UserError

Json = Any  # str, int, float, bool, None, list or dict of the same


def _check(ok: bool, name: str, value: object, must: str, mend: str) -> None:
    """Raise a `UserError` that names the field, its value and a value that works."""
    if not ok:
        raise UserError(f"{name} must be {must}, got {value!r}; try {mend}")


def _check_choices(config: Any, where: str = "") -> None:
    """Raise a `UserError` for a word that a field does not know: Python itself takes any."""
    for each in fields(config):
        known = get_args(each.type) if get_origin(each.type) is Literal else ()
        value = getattr(config, each.name)
        must = "one of " + ", ".join(map(repr, known))
        _check(not known or value in known, where + each.name, value, must, repr(each.default))


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which network."""

    name: str  #: a key of models.MODELS
    options: Mapping[str, Json] = field(default_factory=dict)  #: keyword arguments of its builder


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What happens to a training image before the network sees it."""

    crop_padding: int = 0  #: pixels of reflected border; a 32x32 window is cut at random
    flip: Literal["none", "random", "alternating"] = "none"
    cutout: int = 0  #: side in pixels of a square set to the mean colour; 0 is off
    #: Of the random draws. None takes the run's own; a fixed one shows the same views to all seeds.
    seed: int | None = None

    def __post_init__(self) -> None:
        """Check words and ranges."""
        _check_choices(self, "data.augment.")
        _check(
            self.seed is None or self.seed >= 0, "data.augment.seed", self.seed, ">= 0 or null", "0"
        )
        _check(
            0 <= self.crop_padding <= 16,
            "data.augment.crop_padding",
            self.crop_padding,
            "in [0, 16]",
            "4",
        )
        _check(0 <= self.cutout <= 32, "data.augment.cutout", self.cutout, "in [0, 32]", "8")


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """Two views of each image, for an objective that compares them; see `data.pairs`."""

    side: int = 24  #: pixels of a view; a convolutional network may look at larger images later
    smallest: float = 0.2  #: share of the image's area that a crop keeps at least
    jitter: float = 0.8  #: share of the views whose colours are moved
    brightness: float = 0.4  #: largest change, as a share
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1  #: largest turn of the colour circle, of which 1 is all
    grey: float = 0.2  #: share of the views without colour

    def __post_init__(self) -> None:
        """Check ranges."""
        where = "data.pair."
        _check(10 <= self.side <= 32, where + "side", self.side, "in [10, 32]", "24")
        _check(0 < self.smallest <= 1, where + "smallest", self.smallest, "in (0, 1]", "0.2")
        for name in ("jitter", "brightness", "contrast", "saturation", "grey"):
            value = getattr(self, name)
            _check(0 <= value <= 1, where + name, value, "in [0, 1]", "0.4")
        _check(0 <= self.hue <= 0.5, where + "hue", self.hue, "in [0, 0.5]", "0.1")


# Mean and standard deviation of the 50,000 training images, per channel, in units of [0, 1].
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)

MOST_FOLDS = 50  # each is a training run


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which images, how they are split, and how pixels become numbers."""

    dataset: Literal["cifar10", "cifar100"] = "cifar10"
    val_size: int = 5_000  #: images held out of the 50,000, stratified; 0 trains on all
    split_seed: int = 0
    #: Cross-validation: in place of val_size images one of so many parts is held out; 0 is off.
    folds: int = 0
    fold: int = 0  #: which one, from 0
    #: Share of the training images that get a wrong label on purpose, drawn by split_seed.
    wrong_labels: float = 0.0
    #: Share of each class's training images that are used at all; the seed of the run draws them.
    label_share: float = 1.0
    augment: AugmentConfig = AugmentConfig()
    pair: PairConfig | None = None  #: two views of each image, in place of `augment`
    mean: tuple[float, float, float] = CIFAR10_MEAN  #: of pixels in [0, 1]
    std: tuple[float, float, float] = CIFAR10_STD
    #: Smaller images first: (share of all steps, side in pixels) of each stage in turn; the rest of
    #: the run sees 32 pixels.
    sizes: tuple[tuple[float, int], ...] = ()

    def __post_init__(self) -> None:
        """Check words and ranges."""
        _check_choices(self, "data.")
        in_range = all(share > 0 and 10 <= side <= 32 for share, side in self.sizes)
        in_range = in_range and sum(share for share, _ in self.sizes) <= 1 + 1e-9  # of floats
        must = "pairs of a share > 0 and a side in [10, 32], the shares at most 1 together"
        _check(self.split_seed >= 0, "data.split_seed", self.split_seed, ">= 0", "0")
        _check(in_range, "data.sizes", self.sizes, must, "[[0.35, 20], [0.3, 26]]")
        _check(
            0 <= self.val_size <= 40_000, "data.val_size", self.val_size, "in [0, 40000]", "5000"
        )
        in_range = self.folds == 0 or 2 <= self.folds <= MOST_FOLDS
        must = f"in [2, {MOST_FOLDS}], or 0 for none"
        _check(in_range, "data.folds", self.folds, must, "5")
        last = self.folds - 1 if self.folds else MOST_FOLDS  # without folds it means nothing
        _check(0 <= self.fold <= last, "data.fold", self.fold, f"in [0, {last}]", "0")
        _check(
            0 <= self.wrong_labels < 1, "data.wrong_labels", self.wrong_labels, "in [0, 1)", "0.05"
        )
        _check(0 < self.label_share <= 1, "data.label_share", self.label_share, "in (0, 1]", "0.1")
        _check(
            self.pair is None or self.augment == AugmentConfig(),
            "data.augment",
            vars(self.augment),
            "left as it is beside data.pair, which has an augmentation of its own",
            "--set data.pair=null",
        )
        in_range = all(0 <= m <= 1 for m in self.mean)
        _check(in_range, "data.mean", self.mean, "in [0, 1]", str(list(CIFAR10_MEAN)))
        in_range = all(0 < s <= 1 for s in self.std)
        _check(in_range, "data.std", self.std, "in (0, 1]", str(list(CIFAR10_STD)))


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """Cross-entropy against the labels."""

    kind: Literal["supervised"] = "supervised"
    label_smoothing: float = 0.0  #: share of the probability spread over all classes, in [0, 1)

    def __post_init__(self) -> None:
        """Check words and ranges."""
        _check_choices(self, "objective.")
        _check(
            0 <= self.label_smoothing < 1,
            "objective.label_smoothing",
            self.label_smoothing,
            "in [0, 1)",
            "0.1",
        )


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """A blend of the labels and of what a trained network says; see `objectives.distillation`."""

    kind: Literal["distillation"] = "distillation"
    teacher: str = "resnet18"  #: the recipe whose seed 0 teaches
    loss: Literal["kd", "dkd"] = "kd"  #: Hinton's, or decoupled
    temperature: float = 4.0  #: both sides' logits are divided by it
    teacher_weight: float = 0.9  #: kd: share of the teacher, in [0, 1]; the labels get the rest
    #: kd: what the teacher's term is averaged over. "elements", batch times classes, is what
    #: PyTorch does unless told otherwise: a slip, kept so that it can be measured.
    mean_over: Literal["images", "elements"] = "images"
    target_weight: float = 1.0  #: dkd: of how sure the teacher is of the right class
    others_weight: float = 8.0  #: dkd: of what it says about the other classes

    def __post_init__(self) -> None:
        """Check words and ranges."""
        _check_choices(self, "objective.")
        where = "objective."
        _check(
            0 < self.temperature <= 100,
            where + "temperature",
            self.temperature,
            "in (0, 100]",
            "4.0",
        )
        _check(
            0 <= self.teacher_weight <= 1,
            where + "teacher_weight",
            self.teacher_weight,
            "in [0, 1]",
            "0.9",
        )
        for name in ("target_weight", "others_weight"):
            value = getattr(self, name)
            _check(0 <= value <= 100, where + name, value, "in [0, 100]", "1.0")


@dataclass(frozen=True, kw_only=True)
class SimClr:
    """Two views of an image attract each other, views of others repel; `objectives.simclr`."""

    kind: Literal["simclr"] = "simclr"
    temperature: float = 0.5  #: cosines are divided by it
    hidden: int = 512  #: width of the projection head, which is thrown away afterwards
    out: int = 128  #: numbers that are compared

    def __post_init__(self) -> None:
        """Check words and ranges."""
        _check_choices(self, "objective.")
        where = "objective."
        t = self.temperature
        _check(0 < t <= 100, where + "temperature", t, "in (0, 100]", "0.5")
        _check_widths(self.hidden, self.out)


@dataclass(frozen=True, kw_only=True)
class VicReg:
    """Two views agree, and all numbers that describe them are kept busy; `objectives.vicreg`."""

    kind: Literal["vicreg"] = "vicreg"
    invariance: float = 25.0  #: weight of: the two views agree
    variance: float = 25.0  #: weight of: each number differs from image to image
    covariance: float = 1.0  #: weight of: no two numbers say the same
    hidden: int = 1024
    out: int = 1024

    def __post_init__(self) -> None:
        """Check words and ranges."""
        _check_choices(self, "objective.")
        for name in ("invariance", "variance", "covariance"):
            value = getattr(self, name)
            _check(0 <= value <= 1000, "objective." + name, value, "in [0, 1000]", "25.0")
        _check_widths(self.hidden, self.out)


def _check_widths(hidden: int, out: int) -> None:
    """Raise unless a projection head of these widths can be built."""
    for name, value in (("hidden", hidden), ("out", out)):
        _check(2 <= value <= 8192, "objective." + name, value, "in [2, 8192]", "512")


@dataclass(frozen=True, kw_only=True)
class ArchitectureSearch:
    """Not a loss but a search for a network (ENAS); see `enas.search`.

    The defaults are those of the authors' code for the macro space (github.com/melodyguan/enas,
    `scripts/cifar10_macro_search.sh` and `src/cifar10/main.py`), but for `candidates`.
    """

    kind: Literal["search"] = "search"
    controller: Literal["reinforce", "uniform"] = "reinforce"  #: uniform: a control, never trained
    layers: int = 6  #: 12 in the source
    updates_per_epoch: int = 50  #: of the controller
    rewards_per_update: int = 20  #: architectures that an update averages over
    controller_lr: float = 1e-3  #: of Adam
    tanh_constant: float = 1.5  #: logits lie between its two signs, so no choice becomes certain
    temperature: float = 1.0  #: logits are divided by it before the tanh; the source has none
    entropy_weight: float = 1e-4  #: of the entropy of a network's choices, in nats, in its reward
    baseline_decay: float = 0.99  #: of the moving average that rewards are compared with
    skip_target: float = 0.4  #: share of skips that the penalty pulls to
    skip_weight: float = 0.8  #: of that penalty
    candidates: int = 100  #: drawn at the end; the best on the validation images is the result

    def __post_init__(self) -> None:
        """Check words and ranges."""
        _check_choices(self, "objective.")
        where = "objective."
        _check(3 <= self.layers <= 24, where + "layers", self.layers, "in [3, 24]", "6")
        for name in ("updates_per_epoch", "rewards_per_update", "candidates"):
            value = getattr(self, name)
            _check(1 <= value <= 10_000, where + name, value, "in [1, 10000]", "20")
        for name in ("controller_lr", "tanh_constant", "temperature"):
            value = getattr(self, name)
            _check(0 < value <= 100, where + name, value, "in (0, 100]", "1.0")
        for name in ("entropy_weight", "skip_weight"):
            value = getattr(self, name)
            _check(0 <= value <= 100, where + name, value, "in [0, 100]", "0.0")
        for name in ("skip_target", "baseline_decay"):
            value = getattr(self, name)
            _check(0 < value < 1, where + name, value, "in (0, 1)", "0.4")


Objectives = Supervised | Distillation | SimClr | VicReg | ArchitectureSearch


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate moves, as a factor of `peak_lr`."""

    name: Literal[
        "constant", "step", "linear", "cosine", "cosine_restarts", "one_cycle", "plateau"
    ] = "one_cycle"
    warmup_epochs: float = 0.0  #: linear from 0; one_cycle uses warmup_share instead
    warmup_share: float = 0.25  #: one_cycle: share of all steps spent rising
    milestones: tuple[float, ...] = (0.5, 0.75)  #: step: shares of all epochs
    factor: float = 0.1  #: step and plateau: multiply by this
    patience: int = 3  #: plateau: epochs without a better validation loss
    cycle: float = 10.0  #: cosine_restarts: epochs of the first cycle; each next is twice as long
    floor: float = 0.01  #: cosine_restarts: where each cycle ends

    def __post_init__(self) -> None:
        """Check words and ranges."""
        _check_choices(self, "optim.schedule.")
        where = "optim.schedule."
        _check(self.warmup_epochs >= 0, where + "warmup_epochs", self.warmup_epochs, ">= 0", "1.0")
        _check(
            all(0 < share < 1 for share in self.milestones),
            where + "milestones",
            self.milestones,
            "shares of all epochs in (0, 1)",
            "[0.5, 0.75]",
        )
        _check(
            0 < self.warmup_share < 1,
            where + "warmup_share",
            self.warmup_share,
            "in (0, 1)",
            "0.25",
        )
        _check(0 < self.factor < 1, where + "factor", self.factor, "in (0, 1)", "0.1")
        _check(self.patience >= 0, where + "patience", self.patience, ">= 0", "3")
        _check(self.cycle > 0, where + "cycle", self.cycle, "> 0", "10.0")
        _check(0 <= self.floor < 1, where + "floor", self.floor, "in [0, 1)", "0.01")


@dataclass(frozen=True, kw_only=True)
class MuonConfig:
    """What Muon leaves to SGD with Nesterov momentum: biases and the head."""

    bias_lr: float = 0.1  #: peak rate of biases, those of batch norm among them
    head_lr: float = 0.02  #: peak rate of the head's weights
    momentum: float = 0.85  #: of SGD; Muon's own is optim.momentum
    stem_share: float = 1.0  #: share of all steps over which the stem's bias learns; then it rests
    #: False: filters follow SGD as well, with optim's rate, momentum and decay. What Muon is
    #: compared with.
    orthogonal: bool = True

    def __post_init__(self) -> None:
        """Check ranges."""
        where = "optim.muon."
        for name in ("bias_lr", "head_lr"):
            value = getattr(self, name)
            _check(0 < value <= 10_000, where + name, value, "in (0, 10000]", "0.1")
        _check(0 <= self.momentum < 1, where + "momentum", self.momentum, "in [0, 1)", "0.85")
        _check(0 < self.stem_share <= 1, where + "stem_share", self.stem_share, "in (0, 1]", "0.4")


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """How weights follow the gradient."""

    name: Literal["sgd", "adam", "adamw", "muon"] = "sgd"
    peak_lr: float = 0.1  #: the largest learning rate that the schedule reaches
    momentum: float = 0.9  #: sgd and muon
    nesterov: bool = True  #: sgd only
    #: On weights of convolutions and linear layers; not on BN or biases. muon keeps the norm of
    #: filters fixed instead; there it is the share that a step at its peak rate takes off the rest,
    #: before momentum.
    weight_decay: float = 5e-4
    clip_norm: float | None = None  #: largest gradient norm; None is off
    schedule: ScheduleConfig = ScheduleConfig()
    muon: MuonConfig = MuonConfig()  #: muon only

    def __post_init__(self) -> None:
        """Check words and ranges."""
        _check_choices(self, "optim.")
        _check(0 < self.peak_lr <= 100, "optim.peak_lr", self.peak_lr, "in (0, 100]", "0.1")
        _check(0 <= self.momentum < 1, "optim.momentum", self.momentum, "in [0, 1)", "0.9")
        _check(
            0 <= self.weight_decay < 1, "optim.weight_decay", self.weight_decay, "in [0, 1)", "5e-4"
        )
        _check(
            self.clip_norm is None or self.clip_norm > 0,
            "optim.clip_norm",
            self.clip_norm,
            "> 0 or null",
            "1.0",
        )


@dataclass(frozen=True, kw_only=True)
class ViewsConfig:
    """Test-time augmentation: several views of a test image, whose logits are averaged."""

    name: Literal["flip", "flip_shift"] = "flip_shift"  #: of evaluation.view_sets
    hardest: float = 1.0  #: share of the images that get them: those that one look leaves unsure

    def __post_init__(self) -> None:
        """Check words and ranges."""
        _check_choices(self, "views.")
        _check(0 < self.hardest <= 1, "views.hardest", self.hardest, "in (0, 1]", "0.25")


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What the recipe should give, checked when a run is recorded."""

    low: float  #: test accuracy, a fraction in [0, 1]
    high: float
    minutes: float  #: on `device`, nothing else running
    device: str = "2 Zen 4 cores"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a training run gives."""

    name: str
    model: ModelConfig
    data: DataConfig = DataConfig()
    objective: Objectives = Supervised()
    init: str | None = None  #: recipe whose seed 0 gives the first weights of all but the head
    optim: OptimConfig = OptimConfig()
    epochs: int = 12
    batch_size: int = 128
    #: Images that go through the network at once, at 32 pixels (more of smaller ones); gradients
    #: add up to those of the batch. None sends the whole batch.
    micro_batch: int | None = None
    ema_decay: float | None = None  #: per step; None evaluates the last weights
    views: ViewsConfig | None = None  #: of a test image, averaged; None looks at it once
    #: auto: the device's best, as provenance then says. A fixed one is an experiment of its own.
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    revision: int = 1  #: bumped by hand when code, not a field, changes what the recipe yields
    # From here on: what is planned and expected. It moves no weight and is not compared.
    seeds: int = 3  #: seeds 0 … seeds-1 are run, and all of them are recorded
    validate_every: int = 1  #: epochs between two looks at the validation images
    keep_weights: bool = False  #: seed 0 keeps its weights when it is recorded
    expects: Expectation | None = None
    about: str = ""  #: one line for `list`

    def __post_init__(self) -> None:
        """Check kinds, words and ranges."""
        parts: dict[str, Any] = {"model": ModelConfig, "data": DataConfig, "optim": OptimConfig}
        for part, kind in {**parts, "objective": Objectives}.items():
            if not isinstance(getattr(self, part), kind):
                raise TypeError(
                    f"{part} must be a table of cifar_lessons.config, got a "
                    f"{type(getattr(self, part)).__name__}: a recipe is plain data. Networks, "
                    "losses and optimizers of your own go to training.fit.fit"
                )
        _check_choices(self)
        # It names a folder of the run.
        _check(self.name.isidentifier(), "name", self.name, "letters, digits and _", "my_cnn")
        _check(1 <= self.epochs <= 10_000, "epochs", self.epochs, "in [1, 10000]", "12")
        _check(
            1 <= self.batch_size <= 50_000, "batch_size", self.batch_size, "in [1, 50000]", "128"
        )
        _check(
            self.micro_batch is None or 1 <= self.micro_batch <= self.batch_size,
            "micro_batch",
            self.micro_batch,
            f"in [1, {self.batch_size}], the batch size, or null",
            "null",
        )
        _check(
            self.ema_decay is None or 0 < self.ema_decay < 1,
            "ema_decay",
            self.ema_decay,
            "in (0, 1) or null",
            "0.999",
        )
        _check(
            self.optim.schedule.warmup_epochs <= self.epochs,
            "optim.schedule.warmup_epochs",
            self.optim.schedule.warmup_epochs,
            f"at most the {self.epochs} epochs of the run",
            "1.0",
        )
        _check(
            self.optim.schedule.name != "plateau" or self.data.folds == 0,
            "optim.schedule.name",
            self.optim.schedule.name,
            "one that does not watch the held-out images, which in cross-validation only score",
            "one_cycle",
        )
        _check(
            self.optim.schedule.name != "plateau" or self.data.val_size > 0,
            "data.val_size",
            self.data.val_size,
            "> 0 for the plateau schedule, which watches the validation loss",
            "5000",
        )
        _check(
            1 <= self.validate_every <= (1 if self.optim.schedule.name == "plateau" else 10_000),
            "validate_every",
            self.validate_every,
            ">= 1, and 1 for the plateau schedule, which watches the validation loss",
            "1",
        )
        self._check_views()
        self._check_search()

    def _check_search(self) -> None:
        """Check that a search for an architecture is given nothing that it would not look at."""
        if self.objective.kind != "search":
            return
        _check(
            self.model.name == "enas", "model.name", self.model.name, "'enas' in a search", "enas"
        )
        for name in ("init", "micro_batch", "ema_decay", "views"):
            value = getattr(self, name)
            _check(value is None, name, value, "null in a search", "null")
        _check(self.data.sizes == (), "data.sizes", self.data.sizes, "[] in a search", "[]")
        _check(
            self.optim.schedule.name != "plateau",
            "optim.schedule.name",
            self.optim.schedule.name,
            "one that watches no loss, in a search",
            "cosine_restarts",
        )

    def _check_views(self) -> None:
        """Check what an objective that compares two views needs, and what others cannot use."""
        pair, kind = self.data.pair, self.objective.kind
        _check(
            (pair is not None) == self.pretrains,
            "data.pair",
            None if pair is None else vars(pair),
            f"{'set' if self.pretrains else 'null'} for the objective {kind!r}",
            "--set data.pair.side=24" if self.pretrains else "--set data.pair=null",
        )
        if self.pretrains:
            must = f"at least 2 for {kind!r}, which compares the images of a batch"
            _check(self.batch_size >= 2, "batch_size", self.batch_size, must, "256")
            must = f"null for {kind!r}, which compares the images of the whole batch"
            _check(self.micro_batch is None, "micro_batch", self.micro_batch, must, "null")
            must = f"[] for {kind!r}, whose views have the size data.pair.side"
            _check(self.data.sizes == (), "data.sizes", self.data.sizes, must, "[]")
            must = f"null for {kind!r}, which gives no classifier"
            _check(self.views is None, "views", self.views, must, "null")
        whole = self.data.label_share == 1 or kind == "supervised"
        must = f"1 for {kind!r}, which learns from all images"
        _check(whole, "data.label_share", self.data.label_share, must, "1.0")

    @property
    def pretrains(self) -> bool:
        """Return whether no label is used, so that features come out and no classifier."""
        return isinstance(self.objective, SimClr | VicReg)


def in_fold(recipe: Recipe, fold: int, *, folds: int, seed: int) -> Recipe:
    """Return the recipe of one fold of a cross-validation.

    The seed of the run draws the cut as well: another seed is another partition.

    Args:
        recipe: What is cross-validated; its own validation split is not used.
        fold: Which part is held out, in [0, folds).
        folds: Parts in all.
        seed: Of the run.

    Raises:
        UserError: A fold or a number of folds outside its range, or a schedule that watches the
            held-out images.
    """
    data = replace(recipe.data, folds=folds, fold=fold, split_seed=seed)
    return replace(recipe, data=data)


def planned_runs(recipe: Recipe) -> list[tuple[int, Recipe]]:
    """Return seed and recipe of every run that is planned: one a seed, or one a seed and fold."""
    folds = recipe.data.folds
    if not folds:
        return [(seed, recipe) for seed in range(recipe.seeds)]
    return [
        (seed, in_fold(recipe, fold, folds=folds, seed=seed))
        for seed in range(recipe.seeds)
        for fold in range(folds)
    ]
