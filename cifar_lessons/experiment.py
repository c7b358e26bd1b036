"""From a recipe to a run: the one place where data, model, objective and training meet."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import save as to_safetensors
from torch import nn

from cifar_lessons import recording
from cifar_lessons.atomic import write_atomically
from cifar_lessons.building import Start, num_parameters, ready_model
from cifar_lessons.config import ArchitectureSearch, Recipe, SimClr, Supervised, VicReg
from cifar_lessons.data.cifar import Cifar, load
from cifar_lessons.data.label_share import keep_share
from cifar_lessons.data.loader import TrainLoader
from cifar_lessons.data.pairs import PairLoader
from cifar_lessons.distributed import ALONE, Group
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import Predictions, accuracy, negative_log_likelihood
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.evaluation.probe import features, knn
from cifar_lessons.evaluation.tta import predict_views
from cifar_lessons.fields import NOT_COMPARED, to_dict
from cifar_lessons.objectives.base import Objective
from cifar_lessons.objectives.distillation import DistillationObjective
from cifar_lessons.objectives.projection import Projected
from cifar_lessons.objectives.simclr import SimClrObjective
from cifar_lessons.objectives.supervised import SupervisedObjective
from cifar_lessons.objectives.vicreg import VicRegObjective
from cifar_lessons.recording import half
from cifar_lessons.runtime import Runtime, detect, in_precision
from cifar_lessons.sitting import sit_down
from cifar_lessons.training import range_test as ranges
from cifar_lessons.training.fit import FitResult, fit
from cifar_lessons.training.optim import build_optimizer
from cifar_lessons.training.teacher import Teacher


def runtime_for(
    recipe: Recipe, *, device: str = "auto", precision: str = "auto", group: Group = ALONE
) -> Runtime:
    """Find the machine for a recipe; one that fixes its precision computes in that.

    Args:
        recipe: What will be trained.
        device: See `runtime.detect`.
        precision: See `runtime.detect`.
        group: The processes that train together.

    Raises:
        UserError: Another precision is asked for than the recipe's, or see `runtime.detect`.
    """
    if recipe.precision != "auto" and precision not in ("auto", recipe.precision):
        raise UserError(
            f"{recipe.name} computes in {recipe.precision}, got --precision {precision}; leave "
            f"--precision out, or try --set precision={precision}"
        )
    wanted = recipe.precision if precision == "auto" else precision
    return detect(device=device, precision=wanted, group=group)


def load_data(recipe: Recipe, root: Path | None) -> Cifar:
    """Return the real data set, split as the recipe says."""
    return load(
        recipe.data.dataset,
        root=root,
        val_size=recipe.data.val_size,
        split_seed=recipe.data.split_seed,
        folds=recipe.data.folds,
        fold=recipe.data.fold,
        wrong_labels=recipe.data.wrong_labels,
    )


def train(
    recipe: Recipe,
    data: Cifar,
    *,
    seed: int,
    runtime: Runtime,
    checkpoint: Path | None = None,
    commit: str = "",
    deadline: float | None = None,
    save_every: float = 60.0,
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    progress: bool = True,
    teacher: Teacher | None = None,
    start: Start | None = None,
) -> FitResult:
    """Train the recipe on data already in memory; nothing is scored on test.

    Args:
        recipe: What to train.
        data: The splits.
        seed: Of first weights, order, augmentation and dropout.
        runtime: Device, precision, and the group of processes that train together; a recipe that
            fixes its precision computes in that one.
        checkpoint: See `fit`.
        commit: See `fit`.
        deadline: See `fit`.
        save_every: See `fit`.
        on_epoch: See `fit`.
        progress: See `fit`.
        teacher: Of a distillation; see `teaching.teacher_of`.
        start: First weights of a recipe that has `init`; see `starting.start_of`.

    Raises:
        UserError: The processes of the group work on different things, or cannot share a batch; a
            distillation has no teacher.
        ValueError: The teacher answers for other views than the student sees.
    """
    runtime = in_precision(runtime, recipe.precision)
    group = runtime.group
    objective = objective_of(recipe, teacher, group)
    identity = identity_of(recipe, seed, data, runtime)
    if teacher:
        teacher.require_views(data.train, recipe.data, seed=seed)
        identity["teacher"] = teacher.digest
    if start:
        identity["first weights"] = start.digest
    group.agree({**identity, "training images": len(data.train), "commit": commit})
    with group.together():
        labelled = keep_share(
            data.train, share=recipe.data.label_share, classes=len(data.classes), seed=seed
        )
        loader = (PairLoader if recipe.data.pair else TrainLoader)(
            labelled,
            recipe.data,
            batch_size=recipe.batch_size,
            seed=seed,
            device=runtime.device,
            group=group,
            teacher=teacher,
        )
        model = ready_model(recipe, data, seed=seed, runtime=runtime, start=start)

    def validate(model: nn.Module) -> dict[str, float]:
        if isinstance(model, Projected):
            found = vote(model.encoder, data, recipe, runtime=runtime)["val"]
        else:
            found = predict(model, data.val, recipe.data, runtime=runtime)
        return {"loss": negative_log_likelihood(found), "accuracy": accuracy(found)}

    return fit(
        model,
        objective,
        train=loader,
        validate=validate if len(data.val) else None,
        optimizer=build_optimizer(model, recipe.optim),
        schedule=recipe.optim.schedule,
        peak_lr=recipe.optim.peak_lr,
        epochs=recipe.epochs,
        runtime=runtime,
        clip_norm=recipe.optim.clip_norm,
        micro_batch=recipe.micro_batch,
        ema_decay=recipe.ema_decay,
        validate_every=recipe.validate_every,
        checkpoint=checkpoint,
        identity=identity,
        commit=commit,
        deadline=deadline,
        save_every=save_every,
        on_epoch=on_epoch,
        progress=progress,
    )


def vote(
    encoder: Any,
    data: Cifar,
    recipe: Recipe,
    *,
    runtime: Runtime,
    splits: tuple[str, ...] = ("val",),
) -> dict[str, Predictions]:
    """Return what a weighted vote of the nearest training images says of each image of some splits.

    The network learned without labels; those of all its training images vote here, so that there is
    one number to watch and to compare.

    Args:
        encoder: With `features`; set to evaluation mode.
        data: The splits.
        recipe: Says how pixels are normalised.
        runtime: Device, precision and group.
        splits: `val`, `test` or both.
    """
    bank = features(encoder, data.train, recipe.data, runtime=runtime)
    found = {}
    for name in splits:
        split = getattr(data, name)
        rows = features(encoder, split, recipe.data, runtime=runtime)
        voters, truth = data.train.labels.cpu().numpy(), split.labels.cpu().numpy()
        found[name] = knn(bank, voters, rows, truth, classes=len(data.classes))
    return found


def objective_of(recipe: Recipe, teacher: Teacher | None = None, group: Group = ALONE) -> Objective:
    """Return what the recipe asks a network to do.

    Raises:
        UserError: It learns from a teacher, and there is none; or it is a search.
    """
    if isinstance(recipe.objective, Supervised):
        return SupervisedObjective(label_smoothing=recipe.objective.label_smoothing)
    if isinstance(recipe.objective, SimClr):
        return SimClrObjective(recipe.objective, group)
    if isinstance(recipe.objective, VicReg):
        return VicRegObjective(recipe.objective, group)
    if isinstance(recipe.objective, ArchitectureSearch):
        raise UserError(
            f"{recipe.name} searches for a network instead of training one; try "
            f"`cifar-lessons search {recipe.name}`"
        )
    if teacher is None:
        raise UserError(
            f"{recipe.name} learns from {recipe.objective.teacher}, and no teacher was given; "
            f"`cifar-lessons train {recipe.name}` finds it"
        )
    return DistillationObjective(recipe.objective)


def range_test(
    recipe: Recipe, data: Cifar, *, seed: int, runtime: Runtime, **changes: Any
) -> ranges.RangeTest:
    """Return which learning rates are worth trying for the recipe; no network is kept.

    Args:
        recipe: Its network, images, loss and optimizer are used; its rate, its schedule and smaller
            images at first are not.
        data: The splits; of the training images the recipe's share is used.
        seed: Of first weights, the share, order, augmentation and dropout.
        runtime: Device and precision.
        changes: `low`, `high` and `steps` of `training.range_test.range_test`.
    """
    runtime = in_precision(runtime, recipe.precision)
    labelled = keep_share(
        data.train, share=recipe.data.label_share, classes=len(data.classes), seed=seed
    )
    return ranges.range_test(
        ready_model(recipe, data, seed=seed, runtime=runtime),
        objective_of(recipe),
        train=(PairLoader if recipe.data.pair else TrainLoader)(
            labelled, recipe.data, batch_size=recipe.batch_size, seed=seed, device=runtime.device
        ),
        optim=recipe.optim,
        micro_batch=recipe.micro_batch,
        runtime=runtime,
        **changes,
    )


def identity_of(recipe: Recipe, seed: int, data: Cifar, runtime: Runtime) -> dict[str, Any]:
    """Return what a checkpoint must agree on to be resumed."""
    flat: dict[str, Any] = {"seed": seed, "data": data.digest, "precision": runtime.precision}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                add(f"{prefix}.{key}", inner)
        else:
            flat[prefix] = value

    for key, value in to_dict(recipe).items():
        # What the precision became says more than what the recipe left open.
        if key not in (*NOT_COMPARED, "precision"):
            add(key, value)
    return flat


def run(
    recipe: Recipe,
    *,
    seed: int,
    out: Path | str,
    data: Cifar,
    runtime: Runtime,
    command: str = "",
    deadline: float | None = None,
    progress: bool = True,
    teacher: Teacher | None = None,
    start: Start | None = None,
) -> Path | None:
    """Train, score the test split once, and write a run folder.

    The same call again continues a run that was stopped, and returns at once for one that is
    finished. Of several processes that train together rank 0 prints and writes.

    Args:
        recipe: What to train.
        seed: Of everything random.
        out: Folder of the run: `run.json`, `history.csv`, `test_logits.npz`, `val_logits.npz`
            and `weights.safetensors` appear in it, and `checkpoint.pt` while it is at work.
        data: The splits.
        runtime: Device, precision, and the group of processes that train together; see `train`.
        command: What the user typed, kept with the run.
        deadline: `time.monotonic()` after which the run saves and stops.
        progress: Show progress.
        teacher: Of a distillation; it answers for all views before training begins.
        start: First weights of a recipe that has `init`.

    Returns:
        The folder, on every rank, or None when the run stopped before its end.

    Raises:
        UserError: The folder holds another run, cannot be written, or another process works in it.
    """
    out = Path(out)
    runtime = in_precision(runtime, recipe.precision)
    group = runtime.group
    with sit_down(
        recipe, seed=seed, out=out, data_digest=data.digest, runtime=runtime, command=command,
        progress=progress,
    ) as sitting:  # fmt: skip
        if sitting is None:
            return out
        provenance = sitting.provenance
        if group.size > 1:
            provenance["backend"] = "nccl" if runtime.device.type == "cuda" else "gloo"
        if start:
            provenance["init"] = {"name": start.name, "digest": start.digest}
        if teacher and not _answered(teacher, recipe, provenance, runtime, deadline, sitting.talks):
            return None
        result = train(
            recipe,
            data,
            seed=seed,
            runtime=runtime,
            checkpoint=sitting.checkpoint,
            commit=sitting.commit,
            deadline=deadline,
            progress=sitting.talks,
            teacher=teacher,
            start=start,
        )
        if not sitting.completed(result):
            return None
        # float32: bf16 logits have 8 significant bits, so near ties would fall at random.
        exact = dataclasses.replace(runtime, precision="fp32")
        began = time.monotonic()
        network = result.model
        if isinstance(network, Projected):
            network = network.encoder
            splits = ("test", "val") if len(data.val) else ("test",)
            logits = vote(network, data, recipe, runtime=exact, splits=splits)
        else:
            logits = _answers(network, data, recipe, exact, provenance)
        provenance["test_seconds"] = round(time.monotonic() - began, 1)
        group.from_leader(
            lambda: _write(out, recipe, seed, data, network, result.history, logits, provenance)
        )
    return out


def _write(
    out: Path,
    recipe: Recipe,
    seed: int,
    data: Cifar,
    network: nn.Module,
    history: list[dict[str, float]],
    logits: dict[str, Predictions],
    provenance: dict[str, Any],
) -> None:
    """Write all files of a finished run, `run.json` last."""
    # Every number that is kept is computed from what is kept: logits in float16.
    kept = {k: Predictions(half(p.logits), p.labels) for k, p in logits.items()}
    weights = {k: v.contiguous() for k, v in network.state_dict().items()}
    if recipe.pretrains:  # its head was never trained
        weights = {k: v for k, v in weights.items() if not k.startswith("head.")}
    write_atomically(out / "weights.safetensors", to_safetensors(weights))
    recording.write_run(
        out,
        recipe=recipe,
        seed=seed,
        provenance=provenance,
        history=history,
        logits=kept,
        # Which images were held out, so that the folds can be put together without the data.
        index={"val": data.val.index.numpy()} if recipe.data.folds else {},
        extra={
            "parameters": num_parameters(network),
            "classes": list(data.classes),
            "official_order": data.official_order,
        },
        kind="pretrain" if recipe.pretrains else "train",
    )


def _answers(
    model: nn.Module, data: Cifar, recipe: Recipe, exact: Runtime, provenance: dict[str, Any]
) -> dict[str, Predictions]:
    """Return the logits of a classifier by split, and note how long several views took."""
    logits = {"test": predict(model, data.test, recipe.data, runtime=exact)}
    if recipe.views:
        start = time.monotonic()
        logits["test_views"] = predict_views(
            logits["test"], model, data.test, recipe.data, views=recipe.views, runtime=exact
        )
        provenance["views_seconds"] = round(time.monotonic() - start, 1)
    if len(data.val):
        logits["val"] = predict(model, data.val, recipe.data, runtime=exact)
        if recipe.views:  # what chooses must look as often as what judges
            logits["val_views"] = predict_views(
                logits["val"], model, data.val, recipe.data, views=recipe.views, runtime=exact
            )
    return logits


def _answered(
    teacher: Teacher,
    recipe: Recipe,
    provenance: dict[str, Any],
    runtime: Runtime,
    deadline: float | None,
    progress: bool,
) -> bool:
    """Have a teacher answer for all views; return False where it was stopped before the end.

    Raises:
        UserError: Several processes train together and something is left to ask: that is work for
            one, during which the others would count it as lost.
    """
    provenance["teacher"] = {
        "name": teacher.name,
        "digest": teacher.digest,
        "weights": teacher.weights,
    }
    if runtime.group.size > 1:
        if teacher.missing(recipe.epochs):
            raise UserError(
                f"{teacher.name} has not answered for all views of {recipe.name} yet; "
                f"`cifar-lessons teach {recipe.name}` comes first, in one process"
            )
        return True
    start = time.monotonic()
    done = teacher.prepare(recipe.epochs, deadline=deadline, progress=progress)
    # Of this sitting alone: 0 where another student has asked before.
    provenance["teacher_seconds"] = round(time.monotonic() - start, 1)
    if not done and progress:
        print("stopped while the teacher answers: the same command continues")
    return done
