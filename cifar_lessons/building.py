"""A recipe's network: as it is when training begins, and as a run has left it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_safetensors
from torch import Tensor, nn

from cifar_lessons import runs
from cifar_lessons.config import Recipe, SimClr, VicReg
from cifar_lessons.data.cifar import Cifar
from cifar_lessons.data.loader import normalise
from cifar_lessons.errors import UserError
from cifar_lessons.fields import from_dict
from cifar_lessons.models import Classifier, build_model
from cifar_lessons.objectives.projection import Projected
from cifar_lessons.runtime import Runtime, layout, stream_seed

PREPARE_IMAGES = 5_000  # that a network may look at before training; 4,805,000 patches of 2x2


@dataclass(frozen=True, eq=False)
class Start:
    """Weights that a run begins with, in place of random ones; see `starting.start_of`."""

    name: str  # of the run that they are from
    digest: str  # sha256 of their file, or another name that no other weights have
    weights: Mapping[str, Tensor]  # of all but the head


def new_model(recipe: Recipe, *, seed: int, num_classes: int, runtime: Runtime) -> Classifier:
    """Return the recipe's network with the first weights of this seed, on the device."""
    torch.manual_seed(stream_seed(seed, "init"))
    model = build_model(recipe.model.name, num_classes=num_classes, **recipe.model.options)
    return model.to(runtime.device, memory_format=layout(runtime.device))  # type: ignore[call-overload, no-any-return]


def ready_model(
    recipe: Recipe, data: Cifar, *, seed: int, runtime: Runtime, start: Start | None = None
) -> nn.Module:
    """Return the recipe's network as it is when training begins.

    Raises:
        UserError: It cannot take images of the recipe's sizes, or the first weights do not fit.
    """
    model = new_model(recipe, seed=seed, num_classes=len(data.classes), runtime=runtime)
    pair = recipe.data.pair
    if pair and pair.side != 32 and not model.any_side:
        raise UserError(
            f"{recipe.model.name} takes images of 32 pixels alone, got data.pair.side {pair.side}; "
            "try --set data.pair.side=32"
        )
    if recipe.data.sizes and not model.any_side:
        raise UserError(
            f"{recipe.model.name} takes images of 32 pixels alone, got data.sizes "
            f"{recipe.data.sizes}; try --set data.sizes=[]"
        )
    some = data.train.images[:PREPARE_IMAGES].to(runtime.device)
    model.prepare(normalise(some, recipe.data))
    if recipe.init and start is None:
        raise UserError(
            f"{recipe.name} begins with the weights of {recipe.init}, and none were given; "
            f"`cifar-lessons train {recipe.name}` finds them"
        )
    if start:
        _load_features(model, start.weights, source=start.name, wanted=recipe.name)
    if isinstance(recipe.objective, SimClr | VicReg):
        torch.manual_seed(stream_seed(seed, "init", 1))
        return Projected(model, recipe.objective).to(runtime.device)
    return model


def _load_features(
    model: nn.Module, weights: Mapping[str, Tensor], *, source: str, wanted: str
) -> None:
    """Give a network all weights but those of its head.

    Raises:
        UserError: They are of another network.
    """
    own = {k: v.shape for k, v in model.state_dict().items() if not k.startswith("head.")}
    given = {k: v.shape for k, v in weights.items() if not k.startswith("head.")}
    other = [k for k in {**own, **given} if own.get(k) != given.get(k)]
    if other:
        raise UserError(
            f"the weights of {source} are of another network than {wanted}'s ({other[0]} differs); "
            "give both recipes the same model.name and model.options"
        )
    model.load_state_dict({k: weights[k] for k in given}, strict=False)


def num_parameters(model: nn.Module) -> int:
    """Return how many numbers training moves."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


# --- What a run has left ------------------------------------------------------------------------


def load_model(run: runs.Run, runtime: Runtime) -> Classifier:
    """Return the trained network of a run, ready to predict.

    Raises:
        UserError: The run keeps no weights, or they are not the ones that were recorded, or it has
            learned features alone.
    """
    require_classes(run)
    model = _rebuilt(run, runtime)
    try:
        model.load_state_dict(_kept_weights(run))  # float16 as stored, float32 as computed
    except RuntimeError as error:
        path, reason = run.folder / "weights.safetensors", " ".join(str(error).split())[:200]
        raise UserError(f"{path} does not fit the run beside it ({reason})") from None
    return model.eval()


def require_classes(run: runs.Run) -> None:
    """Raise unless a run has learned to tell classes apart."""
    if run.kind == "pretrain":
        raise UserError(
            f"{run.name} has learned features and no classes; name a run that began with it, from "
            "`cifar-lessons list`"
        )


def load_encoder(run: runs.Run, runtime: Runtime) -> Classifier:
    """Return the network of a run for its `features`; its head may never have been trained.

    Raises:
        UserError: The run keeps no weights, or they are not the ones that were recorded.
    """
    model = _rebuilt(run, runtime)
    _load_features(model, _kept_weights(run), source=run.name, wanted=run.name)
    return model.eval()


def start_from(run: runs.Run) -> Start:
    """Return the features of a run as first weights of another.

    Raises:
        UserError: The run keeps no weights, or they are not the ones that were recorded.
    """
    content = _kept_bytes(run)
    weights = _parsed(content, run)
    floats = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    return Start(f"{run.name} {run.key}", hashlib.sha256(content).hexdigest(), floats)


def _rebuilt(run: runs.Run, runtime: Runtime) -> Classifier:
    """Return a run's network as it was before training."""
    recipe = from_dict(Recipe, run.recipe)
    num_classes = len(run.classes) or (100 if recipe.data.dataset == "cifar100" else 10)
    return new_model(recipe, seed=run.seed, num_classes=num_classes, runtime=runtime)


def _kept_weights(run: runs.Run) -> dict[str, Tensor]:
    """Return the weights that a run keeps."""
    return _parsed(_kept_bytes(run), run)


def _kept_bytes(run: runs.Run) -> bytes:
    """Return the file of a run's weights, if it is the one that was recorded."""
    path = run.folder / "weights.safetensors"
    recipe = from_dict(Recipe, run.recipe)
    try:
        content = path.read_bytes()
    except OSError:
        raise UserError(
            f"{run.folder} keeps no weights; `{runs.train_command(recipe, run.seed)}` makes them "
            f"in outputs/{recipe.name}/{run.key}"
        ) from None
    if run.weights and hashlib.sha256(content).hexdigest() != run.weights["sha256"]:
        raise UserError(f"{path} is not the file that was recorded (its sha256 differs)")
    return content


def _parsed(content: bytes, run: runs.Run) -> dict[str, Tensor]:
    """Return the tensors in the file of a run's weights."""
    try:
        return from_safetensors(content)
    except SafetensorError as error:
        path = run.folder / "weights.safetensors"
        raise UserError(f"{path} is damaged ({error}); train or record the run again") from None
