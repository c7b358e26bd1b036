"""How long a run takes, from the speed of each of its stages: no need to run it to the end.

A run with progressive resizing has stages that differ in the cost of a step: the side of the
images, and whether the stem still learns. Measure images/s of each, and the rest is arithmetic.
This module imports no torch.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from cifar_lessons.config import Recipe
from cifar_lessons.tables import Table

FULL_SIDE = 32  # pixels
TRAIN_IMAGES = 50_000
TEST_IMAGES = 10_000
# Of the reference's time, for the recipe that is to beat it: the target and the stretch.
SPEEDRUN_TARGETS = (0.55, 0.45)


@dataclass(frozen=True)
class Stage:
    """A part of a run whose steps all cost the same.

    Attributes:
        start: Share of all steps before it, in [0, 1).
        share: Of all steps in it, in (0, 1].
        side: Of its images, in pixels.
        stem_learns: Whether the gradient still goes down to the stem's bias.
    """

    start: float
    share: float
    side: int
    stem_learns: bool

    @property
    def key(self) -> str:
        """Return a name that is unique within a run, such as `20px` or `32px_rested`."""
        return f"{self.side}px{'' if self.stem_learns else '_rested'}"


def stages(recipe: Recipe) -> list[Stage]:
    """Return the stages of a run in their order; together they are the whole of it."""
    sizes = [*recipe.data.sizes]
    ends = list(itertools.accumulate(share for share, _ in sizes))
    rest = recipe.optim.muon.stem_share if recipe.optim.name == "muon" else 1.0
    marks = sorted({0.0, 1.0, rest, *ends})
    # 0.35 + 0.3 is a little more than 0.65: a sliver between two equal marks is no stage.
    marks = [a for a, b in itertools.pairwise([*marks, 2.0]) if b - a > 1e-6]
    found = []
    for start, end in itertools.pairwise(marks):
        middle = (start + end) / 2
        side = next((s for e, (_, s) in zip(ends, sizes, strict=True) if middle < e), FULL_SIDE)
        found.append(Stage(start, end - start, side, stem_learns=middle < rest))
    return found


def seconds(recipe: Recipe, rates: Mapping[str, float]) -> dict[str, float]:
    """Return the seconds of training and of scoring the test images.

    Args:
        recipe: The run.
        rates: Images/s of each stage by its key, and of scoring under `score`.
    """
    batches = (TRAIN_IMAGES - recipe.data.val_size) // recipe.batch_size
    images = batches * recipe.batch_size * recipe.epochs
    train = sum(stage.share * images / rates[stage.key] for stage in stages(recipe))
    return {"train": train, "score": TEST_IMAGES / rates["score"]}


def compare(blocks: Mapping[str, Mapping[str, Sequence[float]]], recipes: Sequence[Recipe]) -> Any:
    """Return minutes of each run and their ratios to the first, from blocks measured in turns.

    Args:
        blocks: By recipe name, the images/s of each stage and of scoring, one a round.
        recipes: The first is the one to beat.

    Returns:
        By recipe name: `train_minutes`, `score_minutes`, `minutes` from median rates; `ratio` of
        whole times to the first recipe's, with `low` and `high` over single rounds.
    """
    medians = {
        name: {key: median(values) for key, values in found.items()}
        for name, found in blocks.items()
    }
    base = recipes[0]
    rounds = len(next(iter(blocks[base.name].values())))
    result: dict[str, Any] = {}
    for recipe in recipes:
        spent = seconds(recipe, medians[recipe.name])
        whole = [
            [
                sum(seconds(r, {k: v[i] for k, v in blocks[r.name].items()}).values())
                for i in range(rounds)
            ]
            for r in (recipe, base)
        ]
        ratios = [a / b for a, b in zip(*whole, strict=True)]
        against = sum(seconds(base, medians[base.name]).values())
        result[recipe.name] = {
            "train_minutes": round(spent["train"] / 60, 2),
            "score_minutes": round(spent["score"] / 60, 2),
            "minutes": round(sum(spent.values()) / 60, 2),
            "ratio": round(sum(spent.values()) / against, 3),
            "low": round(min(ratios), 3),
            "high": round(max(ratios), 3),
        }
    return result


def table(values: Mapping[str, Any]) -> Table:
    """Return the minutes of each run, and its share of the first one's time.

    Args:
        values: Of the study `bench_speedrun`.
    """
    rows = [
        (
            name,
            f"{found['train_minutes']:.1f}",
            f"{found['score_minutes']:.1f}",
            f"{found['minutes']:.1f}",
            f"{found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f})",
        )
        for name, found in values["runs"].items()
    ]
    columns = ("Recipe", "Training, minutes", "Scoring, minutes", "Together", "Of the first's time")
    return Table(
        columns, rows, "Minutes of whole runs, from the speed of their stages measured in turns."
    )


def verdict(values: Mapping[str, Any], challenger: str = "speednet") -> str:
    """Return one line: the challenger's share of the first one's time, and the target.

    Args:
        values: Of the study `bench_speedrun`.
        challenger: The recipe that is to meet the target.
    """
    base, found = next(iter(values["runs"])), values["runs"][challenger]
    words = [
        f"{what} {target:g}x {'met' if found['ratio'] <= target else 'NOT met'}"
        for what, target in zip(("target", "stretch"), SPEEDRUN_TARGETS, strict=True)
    ]
    return (
        f"{challenger}: {found['ratio']:.2f}x the time of {base} ({found['low']:.2f} to "
        f"{found['high']:.2f} over the rounds); {', '.join(words)}."
    )


def pace(recipe: Recipe) -> Recipe:
    """Return what decides the speed of each stage: two recipes with one pace need one measurement.

    That is everything but how long it goes on, and what is planned and said about it.
    """
    return replace(
        recipe, name="pace", about="", epochs=1, seeds=1, keep_weights=False, expects=None
    )
