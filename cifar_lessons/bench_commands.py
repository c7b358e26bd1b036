"""What `cifar-lessons bench` offers: each benchmark is a function and a line in `BENCHES`.

Every one of them times things in turns within one run, prints medians with their range, the
number of blocks and the load of the machine, and compares with a baseline of the same run. What
it measures is imported inside the function: `--help` imports no torch.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from cifar_lessons.errors import UserError
from cifar_lessons.typed import typed

Folder = Annotated[Path | None, arg(metavar="DIR")]


def train(
    *,
    model: str = "resnet18",
    seconds: float = 270.0,
    ladder: bool = False,
    data: Folder = None,
    record: bool = False,
) -> None:
    """Time our training loop against the plain loop of tutorials, in turns, in one run.

    Prints images per second (medians) and their ratio, end to end and for the input pipeline
    alone. Nothing else should run on the machine meanwhile; it says so if something does.

    Example: cifar-lessons bench train --ladder --seconds 420

    Args:
        model: A name that `cifar-lessons` trains, such as resnet18 or simple_cnn.
        seconds: About how long it may take.
        ladder: Also time the steps between the two loops, one change at a time.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        record: Keep the result with the recorded runs, as the study `bench_MODEL`.
    """
    if seconds <= 0:
        raise UserError(f"--seconds must be > 0, got {seconds:g}; try --seconds 270")
    from cifar_lessons import runs
    from cifar_lessons.benchmark import bench_train, format_result

    result = bench_train(model=model, seconds=seconds, data=data, ladder=ladder, command=typed())
    print(format_result(result))
    if record:
        if result["values"]["synthetic"]:
            raise UserError("a bench on synthetic data is not recorded; `cifar-lessons data` first")
        provenance = result["provenance"]
        path = runs.record_study(f"bench_{model}", result["values"], provenance=provenance)
        print(f"recorded {path}")


BENCHES: dict[str, Callable[..., None]] = {
    "train": train,
}
