"""Commands that train: `train`, `teach` and `range-test`. Torch is imported where it is needed."""

import time
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from cifar_lessons.errors import UserError
from cifar_lessons.typed import typed

Folder = Annotated[Path | None, arg(metavar="DIR")]
Name = Annotated[Positional[str], arg(metavar="RECIPE")]


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
            chosen = override(recipes.get(recipe), *set)
            if chosen.objective.kind == "search":
                raise UserError(
                    f"{recipe} searches for a network instead of training one; try "
                    f"`cifar-lessons search {recipe}`"
                )
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

    chosen = override(recipes.get(recipe), *set)
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

    chosen = override(recipes.get(recipe), *set)
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
