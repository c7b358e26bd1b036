"""`cifar-lessons export`: a run's network as a file for other engines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from cifar_lessons.errors import UserError

if TYPE_CHECKING:
    from cifar_lessons.deploy import backends, pixels

CALIBRATION = 1_000  # training images
PARITY = 1_000  # test images on which the file must agree with the network


def export(
    run: Annotated[Positional[str], arg(metavar="RUN")],
    /,
    *,
    out: Path | None = None,
    int8: bool = False,
    engine: bool = False,
    data: Annotated[Path | None, arg(metavar="DIR")] = None,
) -> None:
    """Write a trained network as an ONNX file: 8-bit pixels in, logits and probabilities out.

    Normalisation is inside, and the batch is free. The file is written only if it gives the
    network's own answers on real test images. With --int8 weights and activations become 8-bit
    integers, and the accuracy of both files on all test images is printed. --engine compiles for
    the NVIDIA GPU of this machine with TensorRT, in fp16 or with --int8; that has never run on a
    GPU in this project.

    Example: cifar-lessons export resnet18_w16

    Example: cifar-lessons export outputs/simple_cnn/seed0 --int8 --out small.onnx

    Args:
        run: RECIPE or RECIPE/seedK among the recorded runs, or the folder of a run.
        out: The file; else RECIPE.onnx or RECIPE.int8.onnx here, and .engine for an engine.
        int8: Quantise, with the ranges of activations on training images.
        engine: Compile for TensorRT; it takes minutes, and fits this kind of GPU alone.
        data: Folder of the data; else CIFAR_LESSONS_DATA, else ~/.cache/cifar-lessons.
    """
    from cifar_lessons import building, runs

    found = runs.find_run(run)
    if found.kind == "search":
        raise UserError(
            f"{run} is a search and no network; export what it found, such as enas_found"
        )
    if out is not None and out.is_dir():
        raise UserError(f"--out {out} is a folder; name a file, such as {out / 'model.onnx'}")
    if "test_accuracy" not in found.final:
        raise UserError(
            f"{run} was fine-tuned on other pictures; `cifar-lessons finetune` has exported it to "
            f"{found.folder / 'model.onnx'}"
        )
    name = f"{found.name}.int8" if int8 else found.name
    target = out or Path(f"{name}.{'engine' if engine else 'onnx'}")
    from cifar_lessons.atomic import require_writable, write_atomically

    require_writable(target.parent)
    require_packages()
    if engine:
        from cifar_lessons.deploy import tensorrt

        tensorrt.here()
    import hashlib

    from cifar_lessons import experiment, runtime
    from cifar_lessons.config import Recipe
    from cifar_lessons.deploy import backends, pixels
    from cifar_lessons.deploy import export as exporting
    from cifar_lessons.deploy.half import half
    from cifar_lessons.deploy.model_file import About
    from cifar_lessons.deploy.quantize import quantize
    from cifar_lessons.fields import from_dict

    recipe = from_dict(Recipe, found.recipe)
    network = building.load_model(found, runtime.detect(device="cpu", precision="fp32"))
    loaded = experiment.load_data(recipe, data)
    images = pixels.as_pixels(loaded.test.images)
    weights = (found.folder / "weights.safetensors").read_bytes()
    about = About(
        name=f"{found.name} {found.key}",
        classes=tuple(loaded.classes),
        weights=hashlib.sha256(weights).hexdigest(),
        precision="fp32",
        test_accuracy=found.final["test_accuracy"],
    )
    made, parity = exporting.export(network, recipe.data, about=about, images=images[:PARITY])
    print(f"{about.name} against its export: {parity}")
    plain, ready, content = made, backends.OnnxRuntime(made), made.content
    if int8:
        calibration = pixels.as_pixels(loaded.train.images[:CALIBRATION])
        made = quantize(plain, calibration, symmetric=engine)
    elif engine:
        made = half(plain)
    run_it: backends.Backend = ready
    if engine:
        built = tensorrt.build(made)
        run_it, content = tensorrt.TensorRt(built), built.to_bytes()
    elif int8:
        run_it, content = backends.OnnxRuntime(made), made.content
    if made is not plain:
        labels = loaded.test.labels.numpy()
        logits = [_in_batches(backend, images) for backend in (ready, run_it)]
        before, after = ((z.argmax(1) == labels).mean() for z in logits)
        print(
            f"test accuracy {100 * before:.2f} % in fp32, {100 * after:.2f} % in "
            f"{made.about.precision}; {exporting.compare(*logits)}"
        )
    write_atomically(target, content)
    print(f"wrote {target}: {made.about.precision}, {len(content) / 1e6:.1f} MB")


def require_packages(
    what: str = "export", packages: tuple[str, ...] = ("onnx", "onnxscript", "onnxruntime")
) -> None:
    """Raise a `UserError` unless what exports and runs ONNX is installed."""
    from importlib.util import find_spec

    for package in packages:
        if find_spec(package) is None:
            raise UserError(f"{what} needs {package}: `pip install 'cifar-lessons[deploy]'`")


def _in_batches(backend: "backends.Backend", images: "pixels.Pixels") -> "pixels.Logits":
    """Return the logits of many images, (N, K)."""
    import numpy as np

    starts = range(0, len(images), 100)
    return np.concatenate([backend(images[start : start + 100]) for start in starts])
