"""The best network that so many minutes can train: accuracy from recorded runs, time from a bench.

No torch, nothing is trained. Minutes are those of `bench speedrun`, on an idle machine and with
scoring, not those of the runs, which may have shared their cores.
"""

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from cifar_lessons.canvas import MARKERS, empty_figure, new_axes
from cifar_lessons.evaluation.metrics import Estimate, mean_interval
from cifar_lessons.reports import available
from cifar_lessons.speedruns import REFERENCE, TARGETS
from cifar_lessons.tables import Table

STUDY = "bench_speedrun"


@dataclass(frozen=True)
class Rung:
    """A recipe on the ladder from few minutes to many.

    Attributes:
        name: Of the recipe.
        target: Accuracy that it was made for; None for the reference.
        once: Test accuracy with one look at each image.
        views: With further looks, as the recipe has them.
        minutes: Of the whole run on an idle machine; None where it was not measured.
    """

    name: str
    target: float | None
    once: Estimate
    views: Estimate
    minutes: float | None


def rungs(race: dict[str, Any] | None = None) -> list[Rung]:
    """Return the recipes of the speedrun that are recorded, from the shortest on.

    Args:
        race: `values` of the study `bench_speedrun`, where it is recorded.
    """
    times = {} if race is None else race["runs"]
    found = []
    for name, seeds in available([*TARGETS, REFERENCE]).items():
        once, views = (
            mean_interval([run.logits(split) for run in seeds]) for split in ("test", "test_views")
        )
        minutes = times.get(name, {}).get("minutes")
        found.append(Rung(name, TARGETS.get(name), once, views, minutes))
    return found


def table(found: list[Rung]) -> Table:
    """Return target, accuracies and minutes, a row a recipe."""
    rows = [
        (
            rung.name,
            "–" if rung.target is None else f"{100 * rung.target:g} %",
            _percent(rung.views),
            _percent(rung.once),
            str(rung.views.n),
            "–" if rung.minutes is None else f"{rung.minutes:.1f}",
            _reached(rung),
        )
        for rung in found
    ]
    columns = ("Recipe", "Made for", "Test accuracy", "With one look", "Seeds", "Minutes")
    caption = (
        "Mean test accuracy with further looks and its 95 % interval, with one look, and minutes "
        "of the whole run on an idle machine. Reached: the mean is at least what it was made for."
    )
    return Table((*columns, "Reached"), rows, caption if rows else "Nothing is recorded yet.")


def figure(found: list[Rung]) -> Figure:
    """Draw test accuracy against minutes, with the targets as lines."""
    timed = [(rung, rung.minutes) for rung in found if rung.minutes is not None]
    if not timed:
        return empty_figure()
    drawn, axes = new_axes(7, 4)
    for index, (rung, minutes) in enumerate(timed):
        axes.errorbar(
            minutes, 100 * rung.views.mean, yerr=100 * rung.views.half_width,
            fmt=MARKERS[index], color=f"C{index}", capsize=4, label=rung.name,
        )  # fmt: skip
    for target in TARGETS.values():
        axes.axhline(100 * target, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xlim(0, None)
    axes.set(xlabel="minutes of the whole run, nothing else running", ylabel="test accuracy, %")
    axes.legend(fontsize="small")
    return drawn


def _percent(e: Estimate) -> str:
    return f"{100 * e.mean:.2f} % ({100 * e.low:.2f} to {100 * e.high:.2f})"


def _reached(rung: Rung) -> str:
    if rung.target is None:
        return "–"
    return "yes" if rung.views.mean >= rung.target else "no"
