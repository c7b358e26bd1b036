"""A recorded study of views, as it is read: what each set of views corrected and broke.

Nothing is stored that follows from something else. A cell holds how many images the views corrected
and how many they broke; gain, interval and p-value are computed from these two. This module
imports no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_lessons import recipes, runs
from cifar_lessons.evaluation.merging import Merge
from cifar_lessons.evaluation.metrics import Estimate, sign_test
from cifar_lessons.evaluation.view_sets import VIEW_SETS
from cifar_lessons.fields import differences
from cifar_lessons.runs import Run

STUDY = "tta"
REVISION = 1  # bumped by hand when a view's pixels, or what is stored, change
SETS = tuple(name for name in VIEW_SETS if name != "none")
# The mean of log-probabilities predicts as that of logits does (`merging`), so it has no cell.
MERGED: tuple[Merge, ...] = ("logits", "probabilities")
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """What some views changed on N images, beside one look at each.

    Attributes:
        images: N.
        before: How many one look has right.
        corrected: Images that one look has wrong and the views have right.
        broken: The other way round.
        loss: Negative log-likelihood of the views' prediction, in nats.
        passes: How often the network looks at each image.
    """

    images: int
    before: int
    corrected: int
    broken: int
    loss: float
    passes: int

    @property
    def accuracy(self) -> float:
        """Return the accuracy with the views, a fraction in [0, 1]."""
        return (self.before + self.corrected - self.broken) / self.images

    @property
    def p_value(self) -> float:
        """Return McNemar's exact p-value, which compares one trained network with itself."""
        return sign_test(self.corrected, self.broken)

    @property
    def gain(self) -> Estimate:
        """Return the gain in accuracy; its interval covers test images, and no other seed."""
        n, changed = self.images, self.corrected + self.broken
        mean = (self.corrected - self.broken) / n
        return Estimate(mean, 1, 0.0, (changed - n * mean**2) / (n - 1) / n)

    @property
    def per_pass(self) -> float:
        """Return the gain for each forward pass beyond the first; 0 where there is none."""
        return self.gain.mean / (self.passes - 1) if self.passes > 1 else 0.0


@dataclass(frozen=True)
class Scores:
    """What was found on one split.

    Attributes:
        images: N.
        right: How many one look has right.
        loss: Its negative log-likelihood, in nats.
        views: By view, how many that view alone has right.
        cells: By set, then by merge.
        by_class: By set (`none` is one look), how many of each class are right, logits averaged.
    """

    images: int
    right: int
    loss: float
    views: Mapping[str, int]
    cells: Mapping[str, Mapping[str, Cell]]
    by_class: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Network:
    """A recorded network with what its views gave.

    Attributes:
        name: Of its recipe.
        facts: Weights, machine, precision and commit.
        test: On the test images.
        val: On the validation images, None where it was trained on all.
        weights: By view, learned on the validation images; empty without these.
        learned: What the learned weights gave on *test*.
    """

    name: str
    facts: Mapping[str, Any]
    test: Scores
    val: Scores | None
    weights: Mapping[str, float]
    learned: Cell | None

    @property
    def accuracy(self) -> float:
        """Return the test accuracy of one look."""
        return self.test.right / self.test.images

    @property
    def chosen(self) -> str | None:
        """Return the set that is best on the validation images, `none` among them."""
        if self.val is None:
            return None
        cells = {name: merged["logits"] for name, merged in self.val.cells.items()}
        # Of equals the one with fewer passes; one look where no set is better than that.
        best = max(cells, key=lambda name: (cells[name].accuracy, -cells[name].passes))
        return best if cells[best].corrected > cells[best].broken else "none"


def _scores(raw: Values) -> Scores:
    images, right = raw["images"], raw["right"]

    def cell(name: str, found: Sequence[Any]) -> Cell:
        corrected, broken, loss = found
        return Cell(images, right, corrected, broken, loss, VIEW_SETS[name].passes)

    cells = {
        name: {how: cell(name, found) for how, found in merged.items()}
        for name, merged in raw["sets"].items()
    }
    return Scores(images, right, raw["loss"], raw["views"], cells, raw["by_class"])


def _network(name: str, raw: Values) -> Network:
    test = _scores(raw["test"])
    weights, learned = raw["learned"]["weights"], None
    if weights:
        corrected, broken, loss = raw["learned"]["test"]
        learned = Cell(test.images, test.right, corrected, broken, loss, len(weights))
    val = _scores(raw["val"]) if raw["val"] else None
    return Network(name, raw["facts"], test, val, weights, learned)


def networks(values: Values) -> dict[str, Network]:
    """Return the networks of a study by name, the least accurate first."""
    found = [_network(name, raw) for name, raw in values["networks"].items()]
    return {n.name: n for n in sorted(found, key=lambda n: n.accuracy)}


def is_current(values: Values) -> bool:
    """Return whether a study holds today's sets of views, made by today's code."""
    return bool(values["revision"] == REVISION and values["sets"] == sets_as_json())


def sets_as_json() -> dict[str, dict[str, float]]:
    """Return the sets of a study with the weights of their views."""
    return {name: dict(VIEW_SETS[name].weights) for name in SETS}


def kept_runs(root: Path | None = None) -> list[Run]:
    """Return the recorded runs of today's recipes that keep weights, the smallest network first.

    Args:
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    folders = [p.parent for p in (root or runs.runs_root()).glob("*/*/weights.safetensors")]
    found = []
    for folder in folders:
        run = runs.read_run(folder)
        known = run.name in recipes.RECIPES and run.weights and run.kind != "pretrain"
        if known and not differences(run.recipe, recipes.get(run.name)):
            found.append(run)
    return sorted(found, key=lambda run: (run.parameters, run.name))


@dataclass(frozen=True)
class Recorded:
    """The recorded study.

    Attributes:
        networks: Those whose weights are still the recorded ones; the least accurate first.
        provenance: Of the last sitting.
        missing: Recorded networks that were not looked at yet, or whose weights changed since.
    """

    networks: Mapping[str, Network]
    provenance: Mapping[str, Any]
    missing: tuple[str, ...]


def recorded(root: Path | None = None) -> Recorded | None:
    """Return the recorded study, or None where there is none of today's sets.

    Args:
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    study = runs.find_study(STUDY, root=root)
    if study is None or not is_current(study["values"]):
        return None
    fresh = networks(fresh_only(study["values"], root))
    return Recorded(fresh, study["provenance"], tuple(n for n in _digests(root) if n not in fresh))


def fresh_only(values: Values, root: Path | None = None) -> dict[str, Any]:
    """Return a study without the networks whose weights are no longer the recorded ones.

    Args:
        values: Of the study.
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    digests = _digests(root)
    found = values["networks"].items()
    fresh = {name: raw for name, raw in found if digests.get(name) == raw["facts"]["weights"]}
    return {**values, "networks": fresh}


def _digests(root: Path | None) -> dict[str, str]:
    """Return the sha256 of the recorded weights by recipe."""
    return {run.name: str(run.weights["sha256"]) for run in kept_runs(root) if run.weights}
