"""What each idea of the speedrun brings: `speednet_90` with one of them left out at a time.

An idea may buy accuracy, time or both, so both are shown. No torch, nothing is trained:
accuracies come from recorded runs, paired seed by seed and image by image, and times from
`bench speedrun --ideas`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from cifar_lessons.canvas import empty_figure, new_axes
from cifar_lessons.evaluation.metrics import Estimate, holm, paired_difference
from cifar_lessons.reports import available
from cifar_lessons.speedruns import ALL_IDEAS, WITHOUT
from cifar_lessons.tables import Table

STUDY = "bench_ideas"
LOOKS = "further looks"


@dataclass(frozen=True)
class Effect:
    """What it does to leave an idea out.

    Attributes:
        idea: Its name, as in the chapter.
        change: Of the test accuracy with further looks, as a fraction: without minus with.
        p_value: That there is none, Holm-corrected for all ideas.
        time: Of the whole run, as a share of the base's: median, and range over rounds. None where
            it was not measured.
    """

    idea: str
    change: Estimate
    p_value: float
    time: tuple[float, float, float] | None = None


def effects(race: dict[str, Any] | None = None) -> list[Effect]:
    """Return the effect of each idea whose runs are recorded, in the order of the chapter.

    Args:
        race: `values` of the study `bench_ideas`, where it is recorded.
    """
    base = {run.seed: run for run in available([ALL_IDEAS]).get(ALL_IDEAS, [])}
    times = {} if race is None else race["runs"]
    found = []
    for idea, name in WITHOUT.items():
        without = {run.seed: run for run in available([name]).get(name, [])}
        seeds = sorted(base.keys() & without.keys())
        if not seeds:
            continue
        sides = [[side[s].logits("test_views") for s in seeds] for side in (base, without)]
        took = times.get(name)
        time = None if took is None else (took["ratio"], took["low"], took["high"])
        found.append((idea, paired_difference(*sides), time))
    if base:
        views, plain = (
            [run.logits(split) for run in base.values()] for split in ("test_views", "test")
        )
        found.append((LOOKS, paired_difference(views, plain), None))
    corrected = holm([change.p_value() for _, change, _ in found])
    return [Effect(i, c, p, t) for (i, c, t), p in zip(found, corrected, strict=True)]


def figure(found: Sequence[Effect]) -> Figure:
    """Draw the change in accuracy of each, with its 95 % interval; left of 0 the idea helps."""
    if not found:
        return empty_figure()
    drawn, axes = new_axes(7, 1 + 0.5 * len(found))
    for row, effect in enumerate(found):
        axes.errorbar(
            100 * effect.change.mean, row, xerr=100 * effect.change.half_width,
            fmt="D", color=f"C{row}", capsize=5, markersize=7,
        )  # fmt: skip
    axes.axvline(0, color="0.3", linewidth=1)
    axes.set_yticks(range(len(found)), [f"no {effect.idea}" for effect in found])
    axes.set_ylim(len(found) - 0.5, -0.5)  # the first on top
    axes.set_xlabel("points of test accuracy against all ideas together\n(mean and 95 % interval)")
    return drawn


def table(found: Sequence[Effect]) -> Table:
    """Return the change in accuracy and in time, a row an idea."""
    rows = [
        (
            effect.idea,
            _points(effect.change),
            str(effect.change.n),
            f"{max(effect.p_value, 1e-4):.2g}{' or less' * (effect.p_value < 1e-4)}",
            _time(effect),
        )
        for effect in found
    ]
    columns = ("Left out", "Change of test accuracy, points", "Seeds", "p", "Time of the run")
    caption = (
        f"{ALL_IDEAS} with one idea left out: mean and 95 % interval for seeds and images; p is "
        "Holm-corrected. Time: of the run with all ideas, and its range over rounds."
    )
    return Table(columns, rows, caption if rows else "Nothing is recorded yet.")


def _points(e: Estimate) -> str:
    text = f"{100 * e.mean:+.2f} ({100 * e.low:+.2f} to {100 * e.high:+.2f})"
    return text.replace("-", "−")


def _time(effect: Effect) -> str:
    if effect.time is None:
        return "–"
    ratio, low, high = effect.time
    return f"{ratio:.2f}x ({low:.2f} to {high:.2f})"
