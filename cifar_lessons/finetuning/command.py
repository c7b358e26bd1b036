"""`cifar-lessons finetune`: a network for the classes of a folder."""

import time
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from cifar_lessons.errors import UserError
from cifar_lessons.typed import typed

MOST_NOTES = 20  # lines


def finetune(
    folder: Annotated[Positional[Path], arg(metavar="FOLDER")],
    /,
    *,
    start: str | None = None,
    out: Path | None = None,
    val_share: float = 0.2,
    epochs: int = 15,
    seed: int = 0,
    flip: bool = True,
    skip_broken: bool = False,
    scratch: bool = False,
    seconds: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> None:
    """Teach a trained network the classes of your own pictures, one subfolder a class.

    FOLDER/cat/1.jpg, FOLDER/dog/2.png and so on: PNG or JPEG of any size, cut square and shrunk to
    32 x 32. First a new head is fitted, then the whole network is trained at a low rate. A share of
    each class is held out and says how good the network is; subfolders train and val are taken as
    they are. Stopped or killed? The same command goes on.

    Example: cifar-lessons finetune photos/leaves

    Example: cifar-lessons predict leaf.jpg --run outputs/finetuned/leaves

    Args:
        folder: Of the pictures.
        start: Weights to start from: shipped ones, RECIPE or RECIPE/seedK among the recorded runs,
            or the folder of a run; else the best shipped ones.
        out: Where weights, card, logits and model.onnx go; else outputs/finetuned/ and the name of
            FOLDER.
        val_share: Share of each class that is held out.
        epochs: Over the pictures, after the new head was fitted.
        seed: Of the split, the order and the augmentation.
        flip: Show mirror images too; --no-flip for letters and digits.
        skip_broken: Leave out files that are no pictures; else the first of them is an error.
        scratch: Train the same network from new weights too, to see what the start is worth.
        seconds: Save and stop after this many; the same command continues.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
        threads: CPU threads; if not given, as many as there are cores.
    """
    if seed < 0:
        raise UserError(f"--seed must be >= 0, got {seed}; try --seed 0")
    if threads is not None and not 1 <= threads <= 256:
        raise UserError(f"--threads must be in [1, 256], got {threads}; try --threads 2")
    if seconds is not None and not seconds > 0:
        raise UserError(f"--seconds must be > 0, got {seconds:g}; try --seconds 600")
    deadline = None if seconds is None else time.monotonic() + seconds
    from cifar_lessons import pretrained, runs
    from cifar_lessons.atomic import require_writable

    if start is None:
        chosen = pretrained.best()
    elif start in pretrained.names():
        chosen = pretrained.card(start)
    else:
        chosen = runs.find_run(start)
    target = out or Path("outputs") / "finetuned" / (folder.resolve().name or "pictures")
    import torch

    from cifar_lessons import runtime
    from cifar_lessons.finetuning import card, network, work
    from cifar_lessons.finetuning.folder import read_folder

    if threads is not None:
        torch.set_num_threads(threads)
    here = runtime.detect(device=device, precision=precision)
    found = read_folder(
        folder, val_share=val_share, seed=seed, skip_broken=skip_broken, progress=True
    )
    recipe = network.recipe_from(chosen, pictures=len(found.train), epochs=epochs, flip=flip)
    require_writable(target)
    for note in found.notes[:MOST_NOTES]:
        print(note)
    if len(found.notes) > MOST_NOTES:
        print(f"… and {len(found.notes) - MOST_NOTES} lines more of this kind")
    print(
        f"{len(found.train):,} pictures of {len(found.classes)} classes to learn from, "
        f"{len(found.val):,} held out; from {chosen.name} {chosen.key} on {here.device}, "
        f"{here.precision} -> {target}",
        flush=True,
    )
    done = work.finetune(
        found, chosen, recipe,
        out=target, runtime=here, seed=seed, scratch=scratch, command=typed(), deadline=deadline,
    )  # fmt: skip
    if done is None:
        return
    for line in card.summary(runs.read_run(done)):
        print(line)
    print(_exported(done, found))


def _exported(folder: Path, pictures: object) -> str:
    """Export a finished run and return the line that says so."""
    from cifar_lessons.deploy.command import require_packages

    try:
        require_packages("model.onnx")
    except UserError as missing:
        return f"wrote {folder}; {missing}, then the same command again"
    from cifar_lessons.finetuning.exporting import export_run
    from cifar_lessons.finetuning.folder import Pictures

    assert isinstance(pictures, Pictures)
    target, parity = export_run(folder, pictures)
    return f"wrote {folder} and {target} ({parity})"
