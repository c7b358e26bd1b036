"""What a fine-tuned network reaches on the pictures held out, in words."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import Predictions, accuracy, confusion, wilson_interval
from cifar_lessons.runs import Run

WORST = 5  # pairs of classes


def about_run(folder: Path) -> dict[str, Any]:
    """Return what a finished run keeps of its fine-tuning, such as `start` and `head_alone`.

    Raises:
        UserError: The run is of another kind.
    """
    try:
        about: dict[str, Any] = json.loads((folder / "run.json").read_text())["finetune"]
    except KeyError:
        raise UserError(
            f"{folder} holds a run that is no fine-tuning; choose another folder with --out"
        ) from None
    return about


def summary(run: Run) -> list[str]:
    """Return the lines that end `cifar-lessons finetune`, from what a run's folder holds."""
    return [
        *results(run.logits("val"), run.classes, about_run(run.folder)),
        *pairs(run.logits("val"), run.classes),
    ]


def results(
    predictions: Predictions, classes: Sequence[str], about: Mapping[str, Any]
) -> list[str]:
    """Return accuracies, a line each: this network's with its interval, then what it is held to.

    Args:
        predictions: On the pictures held out.
        classes: Their names.
        about: `head_alone` and perhaps `scratch`: accuracies of other networks on them; None of
            one that diverged.
    """
    n = len(predictions)
    right = int(predictions.correct.sum())
    low, high = wilson_interval(right, n)
    counts = confusion(predictions).sum(1)
    most = int(counts.argmax())
    lines = [
        f"validation accuracy {100 * accuracy(predictions):.1f} %: {right} of {n} pictures held "
        f"out (95 % interval {100 * low:.1f} to {100 * high:.1f})",
        f"  a new head alone, all else as it was: {100 * about['head_alone']:.1f} %",
    ]
    if "scratch" in about:
        new = about["scratch"]
        reached = "diverged" if new is None else f"{100 * new:.1f} %"
        lines.append(f"  the same network from new weights: {reached}")
    lines.append(f"  always saying {classes[most]!r}: {100 * counts[most] / n:.1f} %")
    return lines


def pairs(predictions: Predictions, classes: Sequence[str]) -> list[str]:
    """Return which classes are taken for which others most often, a line each."""
    table = confusion(predictions)
    found = [
        (int(table[i, j]), i, j)
        for i in range(len(classes))
        for j in range(len(classes))
        if i != j and table[i, j]
    ]
    found.sort(key=lambda entry: (-entry[0], entry[1], entry[2]))
    lines = [
        f"  {classes[i]} taken for {classes[j]}: {count} of {table[i].sum()}"
        for count, i, j in found[:WORST]
    ]
    return ["most often mistaken:", *lines] if lines else ["no picture held out was mistaken"]


def text(
    predictions: Predictions,
    classes: Sequence[str],
    about: Mapping[str, Any],
    *,
    recipe: str,
    weights: Mapping[str, Any],
) -> str:
    """Return the card of a fine-tuned network, in Markdown."""
    lines = [line.strip() for line in results(predictions, classes, about)]
    mistakes = [line.strip() for line in pairs(predictions, classes)]
    return "\n".join(
        [
            f"# {recipe}",
            "",
            f"**What it is.** {about['start']}, fine-tuned on {about['train_pictures']:,} pictures "
            f"of {len(classes)} classes: {', '.join(classes)}. Pictures are cut square and shrunk "
            "to 32 x 32 pixels.",
            "",
            "**What it reaches.**",
            "",
            *(f"- {line}" for line in lines + mistakes),
            "",
            "The pictures held out come from the same folder. On pictures from elsewhere it may be "
            "wrong more often.",
            "",
            f"**The file.** `weights.safetensors`: {weights['bytes']:,} bytes, sha256 "
            f"`{weights['sha256']}`.",
            "",
            "**What it is not for.** Any decision about people or safety. It knows its classes "
            "and no other, and always names one of them.",
            "",
        ]
    )
