"""What `cifar-lessons bench` offers: each benchmark is a function and a line in `BENCHES`.

Every one of them times things in turns within one run, prints medians with their range, the
number of blocks and the load of the machine, and compares with a baseline of the same run. What
it measures is imported inside the function: `--help` imports no torch.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

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
    _check_recordable(record)
    _check_images(record, data)
    from cifar_lessons.benchmark import bench_train, format_result

    result = bench_train(model=model, seconds=seconds, data=data, ladder=ladder, command=typed())
    _show(format_result(result), f"bench_{model}", result, record)


def input_(
    *,
    seconds: float = 90.0,
    batch_size: int = 128,
    data: Folder = None,
    record: bool = False,
) -> None:
    """Time the input pipeline alone: ours, the plain one, and the steps between.

    The plain one is DataLoader over PIL images with 0, 1 and 2 workers. The steps leave out PIL,
    then DataLoader, then the loop over single images.

    Example: cifar-lessons bench input --seconds 60

    Args:
        seconds: About how long it may take.
        batch_size: Images in a batch.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        record: Keep the result with the recorded runs, as the study `bench_input`.
    """
    _check_recordable(record)
    _check_images(record, data)
    from cifar_lessons.speed import tables
    from cifar_lessons.speed.pipelines import bench_input

    result = bench_input(seconds=seconds, batch_size=batch_size, data=data, command=typed())
    text = tables.format_study(result, tables.pipeline(result), tables.best_plain(result))
    _show(text, "bench_input", result, record)


def precision(
    *,
    models: tuple[str, ...] = ("simple_cnn", "resnet18_w16", "resnet18", "mobilenet_v2"),
    batches: tuple[int, ...] = (32, 128, 512),
    seconds: float = 780.0,
    device: str = "auto",
    record: bool = False,
) -> None:
    """Time fp32 against the 16-bit formats of this device, and measure the memory of both.

    Prints images per second of training steps (medians, in turns), the bytes that are kept for
    the backward pass, and the peak memory of a fresh process, by network and batch size. On a CPU
    the format is bf16; on CUDA it is bf16 and fp16 with a gradient scaler.

    Example: cifar-lessons bench precision --models resnet18 --batches 128 --seconds 60

    Args:
        models: Some of simple_cnn, resnet18_w16, resnet18 and mobilenet_v2.
        batches: Images in a batch, each in 2 to 4096.
        seconds: About how long all of it may take.
        device: auto, cpu, cuda, cuda:1 or mps.
        record: Keep the result with the recorded runs, as the study `bench_precision`.
    """
    _check_recordable(record)
    from cifar_lessons.speed import tables
    from cifar_lessons.speed.precision import bench_precision

    result = bench_precision(
        models=models, batches=batches, seconds=seconds, device=device, command=typed()
    )
    text = tables.format_study(result, tables.speed(result), tables.memory(result))
    _show(text, "bench_precision", result, record)


def roofline(
    *,
    seconds: float = 150.0,
    batch_size: int = 128,
    record: bool = False,
) -> None:
    """Measure the roofline of this CPU, and where the layers of two networks lie under it.

    Peaks of matrix products in fp32 and bf16 and of copies in memory, on one thread and on all;
    then each layer of ResNet-18 and MobileNetV2, forward and backward.

    Example: cifar-lessons bench roofline --seconds 120

    Args:
        seconds: About how long it may take.
        batch_size: Images in a batch, in 2 to 4096.
        record: Keep the result with the recorded runs, as the study `roofline`.
    """
    _check_recordable(record)
    from cifar_lessons.speed import tables
    from cifar_lessons.speed.roofline import bench_roofline

    result = bench_roofline(seconds=seconds, batch_size=batch_size, command=typed())
    text = tables.format_study(result, tables.roofs(result), tables.by_kind(result))
    _show(text, "roofline", result, record)


def profile(
    *,
    model: str = "resnet18",
    seconds: float = 180.0,
    batch_size: int = 128,
    data: Folder = None,
    record: bool = False,
) -> None:
    """Show where the time of a training step goes, from the plain loop to ours.

    Convolutions, batch norm, elementwise work, copies and reorders, the optimizer and the input,
    by PyTorch's profiler and oneDNN's log. On the CPU.

    Example: cifar-lessons bench profile --seconds 120

    Args:
        model: A name that `cifar-lessons` trains, such as resnet18 or simple_cnn.
        seconds: About how long it may take.
        batch_size: Images in a batch, in 2 to 4096.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        record: Keep the result with the recorded runs, as the study `profile`.
    """
    _check_recordable(record)
    _check_images(record, data)
    from cifar_lessons.speed import tables
    from cifar_lessons.speed.breakdown import bench_profile

    result = bench_profile(
        model=model, seconds=seconds, batch_size=batch_size, data=data, command=typed()
    )
    _show(tables.format_study(result, tables.breakdown(result)), "profile", result, record)


def speedrun(
    *,
    seconds: float = 600.0,
    ideas: bool = False,
    data: Folder = None,
    record: bool = False,
) -> None:
    """Time `speednet` and its kin against the speedrun to beat, stage by stage in turns.

    Prints the minutes of the whole runs, scoring included, and their ratios. Nothing is trained
    to the end: for the accuracy see `cifar-lessons list`. On the CPU or an accelerator; it has
    never run on one in this project.

    Example: cifar-lessons bench speedrun --seconds 300

    Args:
        seconds: About how long it may take; three rounds are run in any case.
        ideas: Time the 92 % recipe instead, and what it would take without each of its ideas.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        record: Keep the result with the recorded runs, as the study `bench_speedrun`, or
            `bench_ideas`.
    """
    _check_recordable(record)
    _check_images(record, data)
    from cifar_lessons.speed import projection, tables
    from cifar_lessons.speed.speedrun import RUNS, WITHOUT_IDEAS, bench_speedrun

    names = WITHOUT_IDEAS if ideas else RUNS
    result = bench_speedrun(names=names, seconds=seconds, data=data, command=typed())
    text = tables.format_study(result, projection.table(result["values"]))
    if ideas:
        _show(text, "bench_ideas", result, record)
    else:
        text = f"{text}\n\n{projection.verdict(result['values'])}"
        _show(text, "bench_speedrun", result, record)


def scaling(
    *,
    seconds: float = 300.0,
    data: Folder = None,
    record: bool = False,
) -> None:
    """Time one process against two that train the same network together, in turns.

    Prints images per second and what two processes gain, and where the rest of their time goes.
    On the CPU with gloo; on several GPUs it has never run in this project.

    Example: cifar-lessons bench scaling --seconds 300

    Args:
        seconds: About how long it may take.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        record: Keep the result with the recorded runs, as the study `bench_scaling`.
    """
    _check_recordable(record)
    _check_images(record, data)
    from cifar_lessons.scaling import bench_scaling, format_result

    result = bench_scaling(seconds=seconds, data=data, command=typed())
    _show(format_result(result), "bench_scaling", result, record)


def latency(
    *,
    models: tuple[str, ...] = ("simple_cnn", "resnet18", "mobilenet_v2", "resnet18_w16"),
    batches: tuple[int, ...] = (1, 64),
    threads: tuple[int, ...] = (1, 2),
    device: Literal["cpu", "cuda"] = "cpu",
    quick: bool = False,
    data: Folder = None,
    record: bool = False,
) -> None:
    """Time one answer: eager PyTorch against ONNX Runtime in fp32 and int8, in turns.

    Prints p50, p90 and p99, ratios against eager fp32 of the same run, and the accuracy of each
    file on all test images. A fresh process for each engine, the same threads for all; it says
    first about how long it takes. 200 calls are timed; at batches of 16 and more 100, which take
    minutes as it is. --device cuda adds TensorRT; it has never run on a GPU in this project.
    torch.compile is left out: it gives no file to deploy.

    Example: cifar-lessons bench latency

    Example: cifar-lessons bench latency --models simple_cnn --batches 1 --threads 1 --quick

    Args:
        models: Some of simple_cnn, resnet18, mobilenet_v2, resnet18_w16 and mobilenet_w05.
        batches: Images in a call, each in 1 to 256.
        threads: Numbers of CPU threads to try.
        device: cpu or cuda.
        quick: 10 calls and the accuracy on 100 images: a try, and no result.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        record: Keep the result with the recorded runs, as the study `bench_latency`, or
            `bench_latency_cuda` of a GPU.
    """
    if record and quick:
        raise UserError("a quick try is not recorded; leave --quick out, or --record")
    _check_recordable(record)
    _check_images(record, data)
    from cifar_lessons.deploy.benchmark import bench_latency
    from cifar_lessons.deploy.latency_tables import format_result

    result = bench_latency(
        models=models,
        batches=batches,
        threads=threads,
        device=device,
        quick=quick,
        data=data,
        command=typed(),
    )
    study = "bench_latency" if device == "cpu" else "bench_latency_cuda"
    _show(format_result(result), study, result, record)


def browser(
    *,
    seconds: float = 60.0,
    data: Folder = None,
    record: bool = False,
) -> None:
    """Time the book's demo in a headless Chromium, fp32 against int8, and check its answers.

    Prints bytes and milliseconds a picture of both files (medians, in turns, one thread), and how
    their answers compare with Python's ONNX Runtime on the same pixels.

    Example: cifar-lessons bench browser --seconds 30

    Args:
        seconds: Of timing; five rounds are run in any case, and a minute of other work.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
        record: Keep the result with the recorded runs, as the study `browser`.
    """
    _check_recordable(record)
    _check_images(record, data)
    from cifar_lessons.deploy.command import require_packages

    require_packages()
    from cifar_lessons.deploy.browser_report import format_result
    from cifar_lessons.deploy.browser_study import bench_browser

    result = bench_browser(seconds=seconds, data=data, command=typed())
    _show(format_result(result), "browser", result, record)


def _check_recordable(record: bool) -> None:
    """Raise if a result could not be recorded in the end: before it is measured, not after."""
    from cifar_lessons import origins

    if record:
        origins.require_committed()


def _check_images(record: bool, data: Path | None) -> None:
    """Raise if a result is to be recorded and the real images are not there."""
    from cifar_lessons.data.cifar import load

    if record:
        load("cifar10", root=data, val_size=0)


def _show(text: str, study: str, result: dict[str, Any], record: bool) -> None:
    """Print a result, and keep it as a study if that is wanted."""
    from cifar_lessons import recording

    print(text)
    if not record:
        return
    path = recording.record_study(study, result["values"], provenance=result["provenance"])
    print(f"recorded {path}")


BENCHES: dict[str, Callable[..., None]] = {
    "train": train,
    "input": input_,
    "precision": precision,
    "roofline": roofline,
    "profile": profile,
    "speedrun": speedrun,
    "scaling": scaling,
    "latency": latency,
    "browser": browser,
}
