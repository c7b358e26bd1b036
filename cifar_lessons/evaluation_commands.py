"""Commands that ask a trained network: `evaluate` and `predict`, and what they print."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from cifar_lessons.errors import UserError

Folder = Annotated[Path | None, arg(metavar="DIR")]


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
    if found.kind == "search":
        raise UserError(
            f"{found.name} is a search and answers for no image; evaluate what it found, such as "
            "enas_found"
        )
    if found.kind == "demo":
        raise UserError(
            f"{found.folder} knows pictures of your own, and no test images; its README.md says "
            f"how good it is, and `cifar-lessons predict PICTURE --run {found.folder}` asks it"
        )
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
    pixels = torch.stack([picture for picture, _ in pictures])
    probabilities = [row for some in pixels.split(100) for row in found.probabilities(some)]
    for path, (_, done), row in zip(image, pictures, probabilities, strict=True):
        print(f"{path}: {done}")
        for k in (-row).argsort(kind="stable")[:5].tolist():
            print(f"  {found.classes[k]:12} {100 * row[k]:6.2f} %  {'█' * round(40 * row[k])}")
