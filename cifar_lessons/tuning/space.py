"""What a search may change: fields of a recipe, each with a range.

A setting is the dotted name of a field and a number, as in `optim.peak_lr` and 0.1. A trial is
the recipe with its settings put in, so the difference between two trials is what `differences`
says of their recipes.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cifar_lessons.config import Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.fields import NOT_COMPARED, override, to_dict

Settings = Mapping[str, float]  # a number by the name of its field
EXAMPLE = "--range optim.peak_lr=0.001..1"


@dataclass(frozen=True)
class Range:
    """Where one setting is sought.

    Attributes:
        field: Of the recipe, with dots.
        low: The smallest value; above 0 the scale is logarithmic, at 0 or below it is linear.
        high: The largest value.
        whole: Whole numbers only.
    """

    field: str
    low: float
    high: float
    whole: bool = False

    @property
    def log(self) -> bool:
        """Return whether equal factors, and not equal differences, are equally likely."""
        return self.low > 0

    def position(self, value: float) -> float:
        """Return where a value lies between both ends on the scale of the search, in [0, 1]."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def value(self, position: float) -> float:
        """Return the value at a position in [0, 1]; the inverse of `position`."""
        if self.log:
            return float(self.low * (self.high / self.low) ** position)
        return self.low + position * (self.high - self.low)

    def rounded(self, value: float) -> float:
        """Return a value that a person can type: whole, or three digits, within the range."""
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.3g}"), self.low), self.high)


SPACE = (
    Range("batch_size", 32, 1024, whole=True),
    Range("optim.peak_lr", 1e-3, 1.0),
    Range("optim.weight_decay", 1e-6, 1e-2),
)
# The article's advice (C21): both ends of its ranges, and their middle on a logarithmic scale. They
# are trained beside the best settings, whatever the search finds.
ADVICE: dict[str, Settings] = {
    "advice: 128, 0.1": {"batch_size": 128, "optim.peak_lr": 0.1, "optim.weight_decay": 5e-4},
    "advice: middle": {"batch_size": 181, "optim.peak_lr": 0.0316, "optim.weight_decay": 5e-4},
    "advice: 256, 0.01": {"batch_size": 256, "optim.peak_lr": 0.01, "optim.weight_decay": 5e-4},
}


# What decides about the data, which trials share, and what moves no weight.
FIXED = (
    *(f"data.{name}" for name in ("val_size", "split_seed", "folds", "fold", "wrong_labels")),
    *(*NOT_COMPARED, "revision"),
)


def apply(recipe: Recipe, settings: Settings) -> Recipe:
    """Return the recipe with its settings put in.

    Raises:
        UserError: An unknown field, or a value that the field refuses.
    """
    return override(recipe, *(f"{field}={value!r}" for field, value in settings.items()))


def options(settings: Settings) -> str:
    """Return settings as `cifar-lessons train` takes them: `--set optim.peak_lr=0.1 …`."""
    return " ".join(f"--set {field}={value!r}" for field, value in settings.items())


def parse_range(text: str, recipe: Recipe) -> Range:
    """Return the range that a person typed, as in `optim.peak_lr=0.001..1`.

    Args:
        text: FIELD=LOW..HIGH.
        recipe: Whose field it is; it must accept both ends.

    Raises:
        UserError: Another form, an unknown field, ends in the wrong order, or refused.
    """
    found = re.fullmatch(r"([^=]+)=(.+?)\.\.(.+)", text)
    if not found:
        raise UserError(f"--range needs FIELD=LOW..HIGH, got {text!r}; try {EXAMPLE}")
    field, *ends = found.groups()
    try:
        low, high = (float(end) for end in ends)
    except ValueError:
        raise UserError(f"--range {field} needs two numbers, got {text!r}; try {EXAMPLE}") from None
    if not low < high < math.inf:
        raise UserError(f"--range {field} must rise, got {ends[0]}..{ends[1]}; try {EXAMPLE}")
    if field in FIXED:
        raise UserError(
            f"{field} cannot be searched: all trials share one split of the data, and the seed is "
            f"a trial's own; try {EXAMPLE}"
        )
    now = _current(recipe, field)
    typed_whole = all(re.fullmatch(r"\d+", end) for end in ends)
    whole = isinstance(now, int) if now is not None else typed_whole and _refuses(recipe, field)
    if whole and not typed_whole:
        raise UserError(
            f"{field} is a whole number, got {ends[0]}..{ends[1]}; try --range {field}=32..1024"
        )
    result = Range(field, int(low) if whole else low, int(high) if whole else high, whole=whole)
    for end in (result.low, result.high):
        apply(recipe, {field: end})
    return result


def _refuses(recipe: Recipe, field: str) -> bool:
    """Return whether a field that is not set takes whole numbers alone."""
    try:
        apply(recipe, {field: 1.5})
    except UserError:
        return True
    return field.startswith("model.options.")  # takes all: what was typed says what is meant


def _current(recipe: Recipe, field: str) -> Any:
    """Return the value of a field, or None where it is not set."""
    here: Any = to_dict(recipe)
    for part in field.split("."):
        here = here.get(part) if isinstance(here, dict) else None
    return here


def merged(space: Sequence[Range], ranges: Sequence[Range]) -> tuple[Range, ...]:
    """Return a space with some ranges put in the place of its own, or added to it."""
    chosen = {r.field: r for r in (*space, *ranges)}
    return tuple(chosen.values())


def to_json(space: Sequence[Range]) -> list[dict[str, Any]]:
    """Return a space ready for JSON."""
    return [dict(vars(r)) for r in space]


def from_json(found: Sequence[Mapping[str, Any]]) -> tuple[Range, ...]:
    """Return the space that `to_json` gave."""
    return tuple(Range(**entry) for entry in found)


def space_differences(recorded: Sequence[Mapping[str, Any]], now: Sequence[Range]) -> list[str]:
    """Return what two spaces differ in, a line a field; empty where they are the same."""
    then, today = ({r.field: r for r in side} for side in (from_json(recorded), now))

    def spelled(found: Range | None) -> str:
        return f"{found.low:g} to {found.high:g}" if found else "not searched"

    return [
        f"range of {field}: recorded {spelled(then.get(field))}, now {spelled(today.get(field))}"
        for field in dict.fromkeys([*then, *today])
        if then.get(field) != today.get(field)
    ]
