"""`cifar-lessons search`: look for a network. Imports torch only when it computes."""

import time
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from cifar_lessons.errors import UserError
from cifar_lessons.typed import typed


def search(
    recipe: Annotated[Positional[str], arg(metavar="RECIPE")] = "enas_search",
    /,
    *,
    seed: int = 0,
    set: UseAppendAction[tuple[str, ...]] = (),
    seconds: float | None = None,
    out: Path = Path("outputs"),
    data: Annotated[Path | None, arg(metavar="DIR")] = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
) -> None:
    """Search for a network with shared weights; the same command continues a stopped search.

    Validation images reward and choose. The test images are not touched: train what is found
    from scratch for that.

    Example: cifar-lessons search enas_search --seconds 600

    Example: cifar-lessons search enas_uniform

    Args:
        recipe: enas_search, or enas_uniform, which draws at random and learns nothing.
        seed: Of everything random.
        set: FIELD=VALUE changes one field, as in epochs=30 or objective.tanh_constant=2.5; may be
            given several times. Such a search cannot be recorded.
        seconds: Save and stop after this many; the same command continues.
        out: The search is written to OUT/RECIPE/seedK.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16.
        threads: CPU threads; as many as there are cores if not given.
    """
    from cifar_lessons import recipes
    from cifar_lessons.config import ArchitectureSearch
    from cifar_lessons.fields import override

    chosen = override(recipes.get(recipe), *set)
    if not isinstance(chosen.objective, ArchitectureSearch):
        raise UserError(
            f"{recipe} trains a network, it does not search for one; try `cifar-lessons train "
            f"{recipe}`, or `cifar-lessons search enas_search`"
        )
    if seconds is not None and not seconds > 0:  # so that NaN is refused too
        raise UserError(f"--seconds must be > 0, got {seconds:g}; try --seconds 600")
    if seed < 0:
        raise UserError(f"--seed must be >= 0, got {seed}; try --seed 0")
    if threads is not None and not 1 <= threads <= 256:
        raise UserError(f"--threads must be in [1, 256], got {threads}; try --threads 2")
    deadline = None if seconds is None else time.monotonic() + seconds
    import torch

    from cifar_lessons import experiment, runs
    from cifar_lessons.enas import results, work

    if threads is not None:
        torch.set_num_threads(threads)
    found = experiment.runtime_for(chosen, device=device, precision=precision)
    folder = out / chosen.name / f"seed{seed}"
    loaded = experiment.load_data(chosen, data)
    print(f"{chosen.name} seed {seed} on {found.device}, {found.precision} -> {folder}", flush=True)
    done = work.run(
        chosen,
        seed=seed,
        out=folder,
        data=loaded,
        runtime=found,
        command=typed(),
        deadline=deadline,
    )
    if done:
        finished = results.read(runs.read_run(done))
        score = finished.scores[str(finished.best)]
        print(
            f"found {finished.best}: {100 * score:.2f} % of the validation images with shared "
            f"weights, best of {len(finished.candidates)}, after {finished.run.minutes:.1f} "
            f"minutes: {done}"
        )
