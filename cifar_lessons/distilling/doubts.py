"""A teacher's stored answers, and the doubts in them: numpy alone, nothing is computed anew."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cifar_lessons import recipes, runs
from cifar_lessons.evaluation.merging import log_softmax
from cifar_lessons.evaluation.metrics import Predictions

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network said to the test images.

    Attributes:
        predictions: Its logits (N, K), with the labels.
        classes: Names of the K classes.
        source: Whose answers they are, in words.
        recorded: False where they are made up, since nothing is recorded.
    """

    predictions: Predictions
    classes: tuple[str, ...]
    source: str
    recorded: bool


def stored_answers(name: str = "resnet18", *, root: Path | None = None) -> Answers:
    """Return the test logits of a recorded run of seed 0, or made-up ones where there is none.

    Args:
        name: Of the recipe.
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    try:
        run = runs.load_run(recipes.get(name), root=root)
    except (runs.MissingRun, runs.StaleRun):
        return _made_up(name)
    predictions = run.logits("test")
    facts = json.loads((run.folder / "run.json").read_text())
    numbers = range(predictions.logits.shape[1])
    classes = tuple(facts.get("classes") or (f"class {k}" for k in numbers))
    return Answers(predictions, classes, f"{name}, seed 0, on the test images", recorded=True)


def _made_up(name: str) -> Answers:
    """Return logits of a network that does not exist: mostly right, with two likely rivals."""
    rng = np.random.default_rng(0)
    labels = rng.integers(10, size=10_000)
    logits = rng.normal(0, 1.5, (10_000, 10))
    rows = np.arange(10_000)
    logits[rows, labels] += rng.gamma(4, 1.5, 10_000)
    for step in (1, 2):
        logits[rows, (labels + step) % 10] += 2 / step
    classes = tuple(f"class {k}" for k in range(10))
    source = f"made up, since {name} is not recorded yet"
    return Answers(Predictions(logits.astype(np.float32), labels), classes, source, recorded=False)


def soften(logits: Floats, temperature: float) -> Floats:
    """Return `softmax(logits / T)` over the last axis, float64.

    Args:
        logits: Unnormalised scores, shape (…, K).
        temperature: T > 0; 1 is the plain softmax, more is softer.

    Raises:
        ValueError: T is not above 0.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be > 0, got {temperature}; 4.0 is a usual start")
    return np.asarray(np.exp(log_softmax(logits / temperature)))


def doubt(logits: Floats) -> Floats:
    """Return the entropy of each answer in nats, shape (…,): 0 is sure, ln K is a blind guess."""
    log_p = log_softmax(logits)
    return np.asarray(-(np.exp(log_p) * log_p).sum(axis=-1))


def from_sure_to_doubtful(predictions: Predictions, shares: Sequence[float]) -> list[int]:
    """Return an image at each share of the way from the surest answer to the most doubtful.

    Nobody picks them by eye: they are the quantiles of the entropy.

    Args:
        predictions: Of all images.
        shares: In [0, 1]: 0 is the surest image, 0.5 the one in the middle.

    Raises:
        ValueError: A share outside [0, 1].
    """
    if not all(0 <= share <= 1 for share in shares):
        raise ValueError(f"shares must lie in [0, 1], got {list(shares)}; 0.99 is near the doubts")
    order = np.argsort(doubt(predictions.logits), kind="stable")
    return [int(order[round(share * (len(order) - 1))]) for share in shares]
