"""Trained weights that come with the package: small, checked before use, and without pickle.

Each set is a folder of this package: `weights.safetensors` in half precision, `card.json` with the
recorded run that it is (recipe, seed, commit, accuracy, sha256), and the same for a person to read
in `README.md`. `pretrained.ship` makes one from a recorded run.

Nothing here imports torch before weights are asked for.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cifar_lessons.errors import UserError, suggest
from cifar_lessons.runs import Run

if TYPE_CHECKING:
    from cifar_lessons.models import base
    from cifar_lessons.runtime import Runtime

CARD, WEIGHTS = "card.json", "weights.safetensors"
FORMAT = 1  # of the card


def root() -> Path:
    """Return the folder that holds the sets."""
    return Path(__file__).parent


def names() -> list[str]:
    """Return which sets there are."""
    return sorted(path.parent.name for path in root().glob(f"*/{CARD}"))


def card(name: str) -> Run:
    """Return the recorded run whose weights a set is, as far as its card tells it.

    Its recipe, seed, provenance and final numbers are those of the record; it has no history and
    no logits here.

    Raises:
        UserError: No such set (the nearest name is offered), or a card that cannot be read.
    """
    if name not in names():
        raise UserError(f"no shipped weights {name!r}: {suggest(name, names())}")
    folder = root() / name
    again = "install the package again"
    try:
        found: dict[str, Any] = json.loads((folder / CARD).read_text())
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']!r}, this version reads {FORMAT}")
        return Run(
            recipe=found["recipe"],
            seed=found["seed"],
            key=f"seed{found['seed']}",
            kind="train",
            provenance=found["provenance"],
            history=[],
            final=found["final"],
            folder=folder,
            parameters=found["parameters"],
            weights=found["weights"],
            classes=tuple(found["classes"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / CARD} cannot be read ({error}); {again}") from None


def best() -> Run:
    """Return the shipped run that is best on its validation images, or a headline, which has none.

    Never chosen by test accuracy, so that the accuracy it is shown with stays an honest one.
    """
    return max(map(card, names()), key=lambda run: run.final.get("val_accuracy", 1.0))


def load(name: str, *, runtime: "Runtime | None" = None) -> "base.Classifier":
    """Return a shipped network, ready to predict.

    Args:
        name: One of `names()`.
        runtime: Where it is put; the CPU if not given.

    Raises:
        UserError: No such set, or weights that are damaged: their sha256 is compared before they
            are read.
    """
    from cifar_lessons import building
    from cifar_lessons.runtime import detect

    return building.load_model(card(name), runtime or detect(device="cpu", precision="fp32"))
