"""The command line: each command is a function, and tyro makes its flags from the signature.

A user's mistake gives one line and exit status 2; nothing here shows a traceback for one. torch
is imported inside the commands that need it, so that `--help` answers at once.
"""

import inspect
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction, arg

from cifar_lessons.bench_commands import BENCHES
from cifar_lessons.deploy.command import export
from cifar_lessons.deploy.demo_command import demo
from cifar_lessons.enas.command import search
from cifar_lessons.errors import AlreadyTold, RankLost, UserError
from cifar_lessons.finetuning.command import finetune
from cifar_lessons.folds.command import folds as repeat_folds
from cifar_lessons.serving.command import serve
from cifar_lessons.tuning.command import tune
from cifar_lessons.typed import Commands, parse, typed

Folder = Annotated[Path | None, arg(metavar="DIR")]
Name = Annotated[Positional[str], arg(metavar="RECIPE")]


def data(
    *,
    dataset: Literal["cifar10", "cifar100"] = "cifar10",
    data: Folder = None,
    mirror: UseAppendAction[tuple[str, ...]] = (),
    official_order: bool = False,
    check: bool = False,
) -> None:
    """Fetch and verify a data set; run it again after a break and it goes on.

    Example: cifar-lessons data --mirror https://example.org/cifar-10-python.tar.gz

    Args:
        dataset: Which one.
        data: Folder; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        mirror: Address or path of the official archive, of parquet files, or of a folder of
            PNGs by class; may be given several times. CIFAR_LESSONS_MIRRORS adds more.
        official_order: Fetch the official archive although a copy from parquet or PNG files is
            there; recorded runs need its order.
        check: Only say what is there.
    """
    from cifar_lessons.data.cifar import data_root
    from cifar_lessons.data.fetch import fetch
    from cifar_lessons.data.fetch import status as describe

    root = data_root(data)
    if not check:
        fetch(dataset, root, mirrors=mirror, official_order=official_order)
    print(f"{dataset} in {root}: {describe(dataset, root)}")


def list_recipes() -> None:
    """Show every recipe with its recorded runs: fresh, stale or missing.

    Example: cifar-lessons list
    """
    from cifar_lessons import recipes, runs

    marks = {"fresh": "●", "stale": "◐", "missing": "○"}
    counts = dict.fromkeys(marks, 0)
    print(f"{'recipe':30}{'seeds':7}{'test accuracy':>15}{'core-min':>9}  about")
    for make in recipes.RECIPES.values():
        recipe = make()
        rows = runs.status(recipe)
        found = [run for _, _, run in rows if run]
        for _, state, _ in rows:
            counts[state] += 1
        seeds = "".join(marks[state] for _, state, _ in rows)
        scored = [r.final["test_accuracy"] for r in found if "test_accuracy" in r.final]
        accuracy = sum(scored) / len(scored) if scored else None  # a search scores no test images
        shown = f"{100 * accuracy:.2f} %" if accuracy is not None else "-"
        minutes = sum(r.core_minutes for r in found) / len(found) if found else None
        spent = f"{minutes:.1f}" if minutes is not None else "-"
        print(f"{recipe.name:30}{seeds:7}{shown:>15}{spent:>9}  {recipe.about}")
    print("  ".join(f"{marks[state]} {n} {state}" for state, n in counts.items()))


def train(
    recipe: Name,
    /,
    *,
    seed: int = 0,
    folds: int | None = None,
    fold: int | None = None,
    set: UseAppendAction[tuple[str, ...]] = (),
    seconds: float | None = None,
    out: Path = Path("outputs"),
    data: Folder = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    wait: float = 300.0,
) -> None:
    """Train a recipe; the same command continues a run that was stopped.

    torchrun starts several processes that train one network together, on one machine or on several:
    `torchrun --nproc-per-node 2 -m cifar_lessons train simple_cnn`.

    Code for CUDA and MPS is in place, and has never run on such a device in this project.

    Example: cifar-lessons train simple_cnn --seed 1

    Example: cifar-lessons train resnet18 --set optim.peak_lr=0.2 --out trial --seconds 600

    Example: cifar-lessons train simple_cnn --folds 5

    Args:
        recipe: A name from `cifar-lessons list`.
        seed: Of first weights, order, augmentation and dropout, and of the partition into folds.
        folds: Cross-validate: cut the training images into so many parts and hold out each of
            them once, by a run of its own in OUT/RECIPE/seedK-foldJ; the recipe's own number if
            not given.
        fold: This fold alone, from 0.
        set: FIELD=VALUE changes one field, as in optim.peak_lr=0.2; may be given several
            times. Such a run cannot be recorded.
        seconds: Save and stop after this many; the same command continues.
        out: The run is written to OUT/RECIPE/seedK.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16; a recipe that fixes one takes no other.
        threads: CPU threads of each process; if not given, as many as there are cores, or one
            under torchrun.
        wait: Seconds that a process waits for the others before it counts them as lost.
    """
    from cifar_lessons import recipes
    from cifar_lessons.config import in_fold
    from cifar_lessons.fields import override
    from cifar_lessons.folds.command import count_of, train_folds
    from cifar_lessons.joining import joined

    with joined(wait) as group:
        with group.together():
            chosen = recipes.get(recipe)
            for assignment in set:
                chosen = override(chosen, assignment)
            if seconds is not None and not seconds > 0:  # so that NaN is refused too
                raise UserError(f"--seconds must be > 0, got {seconds:g}; try --seconds 600")
            _check_threads(threads)
            if seed < 0:
                raise UserError(f"--seed must be >= 0, got {seed}; try --seed 0")
            count = count_of(chosen, folds, fold)
            if count:
                in_fold(chosen, fold or 0, folds=count, seed=seed)  # a mistake is told at once
            deadline = None if seconds is None else time.monotonic() + seconds
            import torch

            from cifar_lessons import experiment, runs, starting, teaching

            if threads is not None:
                torch.set_num_threads(threads)
            found = experiment.runtime_for(chosen, device=device, precision=precision, group=group)
            folder = out / chosen.name / f"seed{seed}"
            start = starting.start_of(chosen, out=out)
            if start and count:
                raise UserError(
                    f"folds of {chosen.name} cannot begin with {start.name}: it has "
                    "seen the images that they hold out; try --set init=null"
                )
            loaded = None if count else experiment.load_data(chosen, data)
            teacher = None
            if loaded is not None:
                teacher = teaching.teacher_of(chosen, loaded, seed=seed, out=out, runtime=found)
        if group.leader:
            ranks = f", {group.size} processes" if group.size > 1 else ""
            where = f"{folder}-fold…" if count else folder
            print(
                f"{chosen.name} seed {seed} on {found.device}, {found.precision}{ranks} -> {where}",
                flush=True,
            )
        if loaded is None:
            train_folds(
                chosen, found, folds=count, fold=fold, seed=seed, out=out, data=data,
                deadline=deadline,
            )  # fmt: skip
            return
        done = experiment.run(
            chosen,
            seed=seed,
            out=folder,
            data=loaded,
            runtime=found,
            command=typed(),
            deadline=deadline,
            teacher=teacher,
            start=start,
        )
        if done and group.leader:
            finished = runs.read_run(done)
            accuracy = 100 * finished.final["test_accuracy"]
            kind = "nearest neighbours' " if finished.kind == "pretrain" else ""
            print(
                f"{kind}test accuracy {accuracy:.2f} % after {finished.minutes:.1f} minutes: {done}"
            )


def teach(
    recipe: Name,
    /,
    *,
    seed: int = 0,
    set: UseAppendAction[tuple[str, ...]] = (),
    out: Path = Path("outputs"),
    data: Folder = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> None:
    """Have the teacher of a distillation answer for every view that its students will see.

    `train` does so by itself; several processes under torchrun want it done before. Stop it at any
    time: the same command continues, and several may work at once.

    Example: cifar-lessons teach mobilenet_w05_kd

    Args:
        recipe: Of a student, from `cifar-lessons list`.
        seed: Of the student's run; recipes that fix data.augment.seed give all seeds one set.
        set: FIELD=VALUE changes one field, as in objective.teacher=resnet18_w16.
        out: The answers are written to OUT/teachers.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
        threads: CPU threads; if not given, as many as there are cores.
    """
    from cifar_lessons import recipes
    from cifar_lessons.config import Distillation
    from cifar_lessons.fields import override

    chosen = recipes.get(recipe)
    for assignment in set:
        chosen = override(chosen, assignment)
    if not isinstance(chosen.objective, Distillation):
        raise UserError(f"{recipe} learns from labels alone; name a recipe that has a teacher")
    _check_threads(threads)
    if seed < 0:
        raise UserError(f"--seed must be >= 0, got {seed}; try --seed 0")
    import torch

    from cifar_lessons import experiment, teaching

    if threads is not None:
        torch.set_num_threads(threads)
    here = experiment.runtime_for(chosen, device=device, precision=precision)
    loaded = experiment.load_data(chosen, data)
    teacher = teaching.teacher_of(chosen, loaded, seed=seed, out=out, runtime=here)
    assert teacher is not None
    if teacher.prepare(chosen.epochs):
        print(f"{teacher.name} has answered for all {chosen.epochs} epochs: {teacher.folder}")
    else:
        print("stopped while the teacher answers: the same command continues")


def _check_threads(threads: int | None) -> None:
    """Raise a `UserError` unless torch can compute with that many."""
    if threads is not None and not 1 <= threads <= 256:
        raise UserError(f"--threads must be in [1, 256], got {threads}; try --threads 2")


def range_test(
    recipe: Name,
    /,
    *,
    seed: int = 0,
    set: UseAppendAction[tuple[str, ...]] = (),
    low: float = 1e-4,
    high: float = 10.0,
    steps: int = 100,
    data: Folder = None,
    device: str = "auto",
    precision: str = "auto",
) -> None:
    """Try a growing learning rate for a hundred steps, and show which rates are worth trying.

    Example: cifar-lessons range-test resnet18_w16

    Args:
        recipe: A name from `cifar-lessons list`; its own rate and schedule are not used.
        seed: Of first weights, order and augmentation.
        set: FIELD=VALUE changes one field, as in batch_size=512; may be given several times.
        low: First rate.
        high: Last rate; it stops before that if the loss explodes.
        steps: Of one batch each.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
    """
    from cifar_lessons import recipes
    from cifar_lessons.fields import override

    chosen = recipes.get(recipe)
    for assignment in set:
        chosen = override(chosen, assignment)
    if seed < 0:
        raise UserError(f"--seed must be >= 0, got {seed}; try --seed 0")
    from cifar_lessons import experiment

    here = experiment.runtime_for(chosen, device=device, precision=precision)
    loaded = experiment.load_data(chosen, data)
    found = experiment.range_test(
        chosen, loaded, seed=seed, runtime=here, low=low, high=high, steps=steps
    )
    print(f"{chosen.name} seed {seed} on {here.device}, {here.precision}: rate and mean loss")
    print(found.chart())


def record(
    recipe: Name,
    /,
    *,
    seed: int = 0,
    folds: int | None = None,
    out: Path = Path("outputs"),
    surprise: str | None = None,
) -> None:
    """Copy a finished run to the recorded runs of the book.

    It must come from committed code, the registered recipe and the real data. Every finished
    seed is recorded, whatever it gave.

    Example: cifar-lessons record simple_cnn --seed 1

    Args:
        recipe: Its name.
        seed: Of the run.
        folds: Copy the folds of a cross-validation, all of them; the recipe's own number if not
            given.
        out: Where `train` wrote it.
        surprise: Why the run is kept although it lies outside its expected band.
    """
    from cifar_lessons import recipes, recording
    from cifar_lessons.folds.command import count_of

    chosen = recipes.get(recipe)
    if count := count_of(chosen, folds, None):
        found = recording.record_folds(
            chosen, folds=count, seed=seed, outputs=out, surprise=surprise
        )
    else:
        found = [recording.record(chosen, seed=seed, outputs=out, surprise=surprise)]
    for run in found:
        told = ", ".join(f"{name} {value:.4f}" for name, value in run.final.items())
        if "test_accuracy" in run.final:
            told = f"test accuracy {100 * run.final['test_accuracy']:.2f} %"
        print(f"recorded {run.folder}: {told}")


def evaluate(
    run: Annotated[Positional[str], arg(metavar="RUN")],
    /,
    *,
    tta: str | None = None,
    merge: str | None = None,
    data: Folder = None,
    device: str = "auto",
    precision: str = "fp32",
) -> None:
    """Score a finished run on the test images: accuracy, loss, and accuracy by class.

    Where the run keeps its weights, its network predicts again; else the stored logits speak.
    With --tta it looks at each image several times as well, and says what that gains.

    Example: cifar-lessons evaluate resnet18_w16

    Example: cifar-lessons evaluate outputs/simple_cnn/seed1 --tta flip_shift

    Args:
        run: RECIPE or RECIPE/seedK among the recorded runs, or the folder of a run.
        tta: Views to average: flip, shifts, flip_shift, five_crop, rotations_small, rotations_90,
            vertical_flip, article, article_turns, or none.
        merge: What is averaged: logits (if not given), probabilities or log_probabilities.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
    """
    from cifar_lessons import building, runs
    from cifar_lessons.evaluation import merging, metrics
    from cifar_lessons.evaluation.view_sets import view_set

    if merge and tta is None:
        raise UserError(f"--merge {merge} says how views are averaged: give some, as in --tta flip")
    how, views = merging.merge_named(merge or "logits"), view_set(tta) if tta is not None else None
    found = runs.find_run(run)
    predictions, source = found.logits("test"), "stored logits"
    classes = [f"class {k}" for k in range(predictions.logits.shape[1])]
    merged = None
    votes = found.kind == "pretrain"  # its stored logits are votes of the nearest neighbours
    if views is not None or ((found.folder / "weights.safetensors").exists() and not votes):
        from cifar_lessons import experiment, runtime
        from cifar_lessons.config import Recipe
        from cifar_lessons.evaluation.predict import predict
        from cifar_lessons.evaluation.tta import predict_set
        from cifar_lessons.fields import from_dict

        recipe = from_dict(Recipe, found.recipe)
        here = runtime.detect(device=device, precision=precision)
        model = building.load_model(found, here)
        loaded = experiment.load_data(recipe, data)
        if views is None:
            predictions = predict(model, loaded.test, recipe.data, runtime=here)
        else:
            look = partial(predict_set, model, loaded.test, recipe.data, runtime=here)
            predictions = look(views="none")
            merged = look(views=views, merged=how, progress=True)
        source, classes = f"its weights, {here.device}, {here.precision}", list(loaded.classes)
    correct = metrics.accuracy(predictions)
    low, high = metrics.wilson_interval(
        round(correct * len(predictions.labels)), len(predictions.labels)
    )
    print(f"{found.name} {found.key}, from {source}")
    print(
        f"test accuracy {100 * correct:.2f} % (95 % interval over images {100 * low:.2f} to "
        f"{100 * high:.2f}), loss {metrics.negative_log_likelihood(predictions):.4f}"
    )
    for name, share in zip(classes, _by_class(predictions, found.folder), strict=True):
        print(f"  {name:12} {100 * share:6.2f} %  {'█' * round(40 * share)}")
    if views is not None and merged is not None:
        changed, several = metrics.mcnemar(predictions, merged), metrics.accuracy(merged)
        looks = "1 forward pass" if views.passes == 1 else f"{views.passes} forward passes"
        print(
            f"with {views.name} ({looks} an image, {how} averaged): {100 * several:.2f} %, "
            f"{100 * (several - correct):+.2f} points, "
            f"loss {metrics.negative_log_likelihood(merged):.4f}"
        )
        print(
            f"  {changed.only_second} images corrected, {changed.only_first} broken; McNemar's "
            f"test of this one network: p = {changed.p_value:.2g}"
        )


def _by_class(predictions: Any, folder: Path) -> Any:
    """Return the accuracy of each class; a class without images is the user's to mend."""
    from cifar_lessons.evaluation import metrics

    try:
        return metrics.per_class_accuracy(predictions)
    except ValueError as error:
        raise UserError(f"{folder}: {error}") from None


def predict(
    image: Annotated[Positional[tuple[Path, ...]], arg(metavar="IMAGE...")],
    /,
    *,
    run: str | None = None,
    device: str = "auto",
) -> None:
    """Say what a network sees in your pictures: the five likeliest classes.

    Any PNG or JPEG will do: its centre is cut square and shrunk to 32 x 32. The network knows
    its classes and always names one of them, whatever it is shown.

    Example: cifar-lessons predict cat.jpg dog.png

    Example: cifar-lessons predict leaf.jpg --run outputs/finetuned/leaves

    Args:
        image: PNG or JPEG files.
        run: RECIPE, RECIPE/seedK, the folder of a run of `train` or `finetune`, or an exported
            file.onnx; else the weights that come with the package.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    if not image:
        raise UserError("predict needs an image; try `cifar-lessons predict cat.png`")
    from cifar_lessons.data.picture import read_picture

    pictures = [read_picture(path) for path in image]
    import torch

    from cifar_lessons import predicting

    found = predicting.answering(run, device=device)
    print(found.title)
    probabilities = found.probabilities(torch.stack([picture for picture, _ in pictures]))
    for path, (_, done), row in zip(image, pictures, probabilities, strict=True):
        print(f"{path}: {done}")
        for k in (-row).argsort(kind="stable")[:5].tolist():
            print(f"  {found.classes[k]:12} {100 * row[k]:6.2f} %  {'█' * round(40 * row[k])}")


def ship(recipe: Name, /, *, seed: int = 0) -> None:
    """Put the weights of a recorded run into the package, with a card; for its maintainers.

    They then come with every installation: `predict` answers with them, `finetune` starts from
    them. At most 5 MB a set.

    Example: cifar-lessons ship resnet18_w16

    Args:
        recipe: Its name; its recorded run must be fresh and keep its weights.
        seed: Of the run.
    """
    from cifar_lessons.pretrained.ship import ship as into_package

    print(f"shipped {into_package(recipe, seed=seed)}; commit it")


def study(
    name: Annotated[Positional[str], arg(metavar="STUDY")],
    /,
    *,
    data: Folder = None,
    record: bool = False,
) -> None:
    """Measure facts that need no training, such as the counts and statistics of the data.

    tta looks at the test images several times through every recorded network that keeps its
    weights; it goes on where it was stopped, and takes some minutes a network.

    Example: cifar-lessons study data_facts --record

    Args:
        name: data_facts, data_facts_cifar100, parameter_counts, distillation_share, corruptions
            (some half an hour; the same command goes on), near_duplicates, probes or tta.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        record: Keep the facts with the recorded runs.
    """
    import json

    from cifar_lessons import origins, recording, studies
    from cifar_lessons.data.cifar import data_root

    if record:
        origins.require_committed(name)
    if name == "tta":
        from cifar_lessons.tta.study import study_tta

        print(study_tta(data_root(data), record=record, command=typed()))
        return
    values = studies.measure(name, data_root(data))
    print(json.dumps(values, indent=1))
    if record:
        print(f"recorded {recording.record_study(name, values, provenance=_provenance())}")


def _provenance() -> dict[str, Any]:
    """Return the provenance of a command that does not train, on the CPU."""
    import torch

    from cifar_lessons import origins, runtime

    return origins.provenance(
        command=typed(),
        device=runtime.device_name(torch.device("cpu")),
        precision="",
        threads=torch.get_num_threads(),
        cores=runtime.num_cores(),
        data_digest="",
    )


def claims() -> None:
    """Print the ledger: each claim of the article, what was measured, and the verdict.

    Exits with 1 if a claim that is marked measured has no fresh run behind it.

    Example: cifar-lessons claims
    """
    from cifar_lessons import claims as ledger

    rows = ledger.rows()
    print(ledger.format_rows(rows))
    stale = ledger.stale_claims(rows)
    for line in stale:
        print(line, file=sys.stderr)
    if stale:
        sys.exit(1)


def bench() -> None:
    """Time a part of the library against a baseline; `cifar-lessons bench --help` lists them.

    Nothing else should run on the machine meanwhile; each says so if something does.

    Example: cifar-lessons bench train --ladder --seconds 420
    """


COMMANDS: dict[str, Callable[..., None]] = {
    "data": data,
    "list": list_recipes,
    "train": train,
    "teach": teach,
    "range-test": range_test,
    "record": record,
    "evaluate": evaluate,
    "finetune": finetune,
    "predict": predict,
    "ship": ship,
    "export": export,
    "serve": serve,
    "demo": demo,
    "tune": tune,
    "search": search,
    "folds": repeat_folds,
    "study": study,
    "claims": claims,
    "bench": bench,
}


# A command that is a group of commands; its function is there for the list of `--help`.
GROUPS: dict[str, Commands] = {"bench": BENCHES}


def _parse(arguments: list[str]) -> Callable[[], None]:
    """Return the chosen command, ready to be called; a mistake becomes a `UserError`."""
    first = arguments[0] if arguments else ""
    if first in GROUPS:
        return parse(
            arguments[1:] or ["--help"],
            GROUPS[first],
            prog=f"cifar-lessons {first}",
            description=inspect.getdoc(COMMANDS[first]) or "",
        )
    return parse(
        arguments,
        COMMANDS,
        prog="cifar-lessons",
        description="Train, measure and look at CIFAR networks.",
    )


def main() -> None:
    """Run the command line; exit with 2 for a user's mistake and 130 for Ctrl-C."""
    try:
        _parse(sys.argv[1:] or ["--help"])()
    except AlreadyTold:
        sys.exit(2)
    except RankLost as error:
        print(f"cifar-lessons: {error}", file=sys.stderr)
        sys.exit(1)
    except (UserError, FloatingPointError) as error:
        print(f"cifar-lessons: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("cifar-lessons: interrupted; what was saved is intact", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe, such as head, has gone
        sys.exit(0)
