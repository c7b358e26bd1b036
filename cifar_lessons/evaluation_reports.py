"""Evaluation in words and tables, from recorded runs: calibration, pairs, and whose pictures.

As in `reports`, nothing here fails where runs are missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from cifar_lessons.evaluation import calibration
from cifar_lessons.evaluation.metrics import (
    Estimate,
    Predictions,
    accuracy,
    holm,
    mcnemar,
    mean_interval,
    negative_log_likelihood,
    paired_difference,
    per_class_accuracy,
)
from cifar_lessons.evaluation.mistakes import same_images
from cifar_lessons.evaluation.resolution import disagreement
from cifar_lessons.reports import RunsByLabel
from cifar_lessons.runs import Run
from cifar_lessons.tables import Markdown, Table
from cifar_lessons.verdicts import points


def temperature(run: Run) -> float | None:
    """Return the temperature fitted on a run's validation logits; None where it held out none."""
    if not (run.folder / "val_logits.npz").exists():
        return None
    return calibration.fit_temperature(run.logits("val"))


def calibration_table(found: RunsByLabel) -> Table:
    """Return how well the confidence of each recipe's seed 0 fits, before and after temperature.

    Args:
        found: Runs by label, as from `plots.available`.
    """
    rows = []
    for label, seeds in found.items():
        test, fitted = seeds[0].logits("test"), temperature(seeds[0])
        kinds = [("as it is", test)]
        if fitted:
            kinds.append((f"T = {fitted:.2f}", calibration.scaled(test, fitted)))
        for kind, p in kinds:
            row = [f"{label}, {kind}", f"{100 * accuracy(p):.2f} %"]
            row += [f"{negative_log_likelihood(p):.3f}", f"{calibration.brier_score(p):.3f}"]
            for adaptive in (False, True):
                error = calibration.expected_calibration_error(p, adaptive=adaptive)
                chance = calibration.error_by_chance(p, adaptive=adaptive, draws=60).mean()
                row.append(f"{100 * error:.1f} ({100 * chance:.1f})")
            rows.append(row)
        if not fitted:
            rows.append([f"{label}: no validation images, so no temperature", *("–" * 5)])
    columns = ("Seed 0 of", "Accuracy", "NLL", "Brier", "ECE, equal width", "ECE, adaptive")
    caption = (
        "Confidence on the test images. Temperatures are fitted on validation images. NLL in nats; "
        "calibration errors (ECE, 15 bins) in points, and in brackets what perfect confidence "
        "would show by chance."
    )
    return Table(columns, rows, caption if rows else "Nothing is recorded yet.")


def seeds_by_class(name: str, runs: Sequence[Predictions], classes: Mapping[str, int]) -> Table:
    """Return the accuracy of some classes, and of all, for each seed of a recipe.

    Args:
        name: Of the recipe.
        runs: Its seeds in order; none says so in the caption.
        classes: Index of each class to show, by its name.
    """
    rows = []
    for seed, run in enumerate(runs):
        by_class = per_class_accuracy(run)
        shown = [f"{100 * by_class[k]:.1f}" for k in classes.values()]
        rows.append((str(seed), *shown, f"{100 * accuracy(run):.2f}"))
    caption = f"Accuracy in percent, each seed of {name}." if rows else f"{name}: not recorded yet."
    return Table(("Seed", *classes, "all classes"), rows, caption)


def pairs_table(pairs: Mapping[str, tuple[Predictions, Predictions]]) -> Table:
    """Return how two networks compare on the same images, a row a pair, Holm-corrected.

    Args:
        pairs: First and second network, by label.
    """
    tests = {label: mcnemar(*pair) for label, pair in pairs.items()}
    corrected = holm([test.p_value for test in tests.values()])
    rows = [
        (
            label,
            points(paired_difference([pairs[label][0]], [pairs[label][1]])).partition(", n")[0],
            f"{test.only_first:,}",
            f"{test.only_second:,}",
            f"{max(p, 1e-4):.2g}{' or less' * (p < 1e-4)}",
        )
        for (label, test), p in zip(tests.items(), corrected, strict=True)
    ]
    columns = ("Second against first", "Difference (95 %, images)", "Only first right")
    caption = "Two networks at a time. p: McNemar's exact test, Holm-corrected for all rows."
    return Table(
        (*columns, "Only second right", "p"), rows, caption if rows else "Nothing is recorded yet."
    )


def recipes_table(found: RunsByLabel, pairs: Sequence[tuple[str, str]]) -> Table:
    """Return how recipes compare over the seeds that both have, a row a pair, Holm-corrected.

    Args:
        found: Runs by label, as from `plots.available`.
        pairs: Labels of (first, second); one that is not recorded leaves its row out.
    """
    labels, paired, apart = [], [], []
    for first, second in pairs:
        one, other = ({run.seed: run for run in found.get(name, [])} for name in (first, second))
        shared = sorted(one.keys() & other.keys())
        if shared:
            sides = [[runs[s].logits("test") for s in shared] for runs in (one, other)]
            labels.append(f"{second} against {first}")
            paired.append(paired_difference(*sides))
            # Two test sets that share nothing, and seeds that share nothing: variances add up.
            a, b = (mean_interval(side) for side in sides)
            apart.append(
                Estimate(
                    b.mean - a.mean,
                    len(shared),
                    a.seed_variance + b.seed_variance,
                    a.image_variance + b.image_variance,
                )
            )
    corrected = holm([e.p_value() for e in paired])
    rows = [
        (
            label,
            points(e).partition(", n")[0],
            f"± {100 * e.half_width:.2f}",
            f"± {100 * other.half_width:.2f}",
            str(e.n),
            f"{max(p, 1e-4):.2g}{' or less' * (p < 1e-4)}",
        )
        for label, e, other, p in zip(labels, paired, apart, corrected, strict=True)
    ]
    columns = ("Second against first", "Difference", "Paired", "As if apart", "Seeds", "p")
    caption = (
        "Recipes over all their seeds, with 95 % intervals for seeds and images, in points. "
        "As if apart: what it would be had each its own test images. p is Holm-corrected."
    )
    return Table(columns, rows, caption if rows else "Nothing is recorded yet.")


def seed_pairs(found: RunsByLabel) -> dict[str, tuple[Predictions, Predictions]]:
    """Return the first two seeds of each recipe that has two: networks that differ by chance."""
    return {
        f"{label}: seed {seeds[1].seed} against {seeds[0].seed}": (
            seeds[0].logits("test"),
            seeds[1].logits("test"),
        )
        for label, seeds in found.items()
        if len(seeds) > 1
    }


def disagreements(pairs: Mapping[str, tuple[Predictions, Predictions]]) -> dict[str, float]:
    """Return the share of images where exactly one of a pair is right; with it in the label."""
    shares = {label: disagreement(*pair) for label, pair in pairs.items()}
    return {f"{100 * share:.1f} % ({label})": share for label, share in shares.items()}


def with_pictures(
    recorded: Mapping[str, Predictions], live: Predictions, labels: npt.NDArray[Any]
) -> tuple[dict[str, Predictions], Markdown]:
    """Return the networks whose answers belong to the pictures at hand, and a note.

    Args:
        recorded: Predictions of recorded runs by name, on the official test images in their order.
        live: Of a network that was trained just now, on the pictures at hand.
        labels: Of those pictures, shape (N,).
    """
    if recorded and all(same_images(p, labels) for p in recorded.values()):
        return dict(recorded), Markdown("")
    reason = (
        "The stored answers of the recorded networks belong to the official test images in their "
        "order, which are not here: `cifar-lessons data --official-order` fetches them."
        if recorded
        else "Nothing is recorded yet."
    )
    return {"the live network": live}, Markdown(
        f"**These are mistakes of the live network, after a taste of training.** {reason}"
    )
