"""Recorded searches and the networks trained alone after them, read back; imports no torch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cifar_lessons import recipes, runs
from cifar_lessons.enas.arms import ALONE, MAKERS, MATCHED_ANYWAY, SEARCHES, WIDTH
from cifar_lessons.enas.ranking import bootstrap_tau, kendall_tau
from cifar_lessons.enas.space import Architecture, parse
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import accuracy
from cifar_lessons.runs import Run


@dataclass(frozen=True)
class Search:
    """A recorded search.

    Attributes:
        run: With its provenance, and `history` of a row an epoch.
        best: The architecture that was chosen on validation images.
        scores: Validation accuracy with shared weights, a fraction, by architecture as text.
        candidates: Those of `scores` that competed; the others are controls.
        trace: By name the values at every few updates of the controller: `update`, `epoch`,
            `reward`, `entropy`, `skip_share`, and `p_c3` and so on, means over layers.
        operations: Probability of each operation in each layer at the end, N rows of 6.
    """

    run: Run
    best: Architecture
    scores: Mapping[str, float]
    candidates: tuple[str, ...]
    trace: Mapping[str, Sequence[float]]
    operations: Sequence[Sequence[float]]


def load(name: str = "enas_search", *, root: Path | None = None) -> Search | None:
    """Return a recorded search, or None without a fresh one.

    Raises:
        UserError: It cannot be read.
    """
    try:
        run = runs.load_run(MAKERS[name](), seed=0, root=root)
    except (runs.MissingRun, runs.StaleRun):
        return None
    return read(run)


def read(run: Run) -> Search:
    """Return the search of a finished run, recorded or not.

    Raises:
        UserError: It is no search, or cannot be read.
    """
    path = run.folder / "run.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text())["search"]
        return Search(
            run=run,
            best=parse(content["best"]),
            scores=content["scores"],
            candidates=tuple(content["candidates"]),
            trace=content["trace"],
            operations=content["operations"],
        )
    except (KeyError, ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}); record the search again") from None


@dataclass(frozen=True)
class Alone:
    """A network of the space that was trained from scratch."""

    name: str  # of its recipe
    architecture: Architecture
    width: int
    seeds: tuple[Run, ...]

    @property
    def accuracy(self) -> float:
        """Return its mean test accuracy, a fraction."""
        return sum(_accuracy(run.folder) for run in self.seeds) / len(self.seeds)


@cache
def _accuracy(folder: Path) -> float:
    return accuracy(runs.read_run(folder).logits("test"))


def kind_of(name: str) -> int:
    """Return 0 for what a search found, 1 for a hand-made network, 2 for a random one."""
    return 0 if "found" in name else 2 if "random" in name else 1


def label_of(name: str) -> str:
    """Return what a person calls the network of a recipe."""
    words = {
        "enas_found": "found by ENAS",
        "enas_found_uniform": "found by random search",
        "enas_conv3": "all 3x3",
        "enas_sep3": "all separable 3x3",
        "enas_alternating": "3x3 and separable in turns",
    }
    base = name.rpartition("_w")[0] or name
    return words.get(base, base.removeprefix("enas_").replace("random", "random "))


def planned(*, same_width: bool = False) -> list[str]:
    """Return the recipes of `alone`, recorded or not."""
    if not same_width:
        return list(ALONE)
    names = [base if base in MATCHED_ANYWAY else f"{base}_w{WIDTH}" for base in ALONE]
    return [name for name in names if name in MAKERS]


def alone(*, same_width: bool = False, root: Path | None = None) -> list[Alone]:
    """Return what is recorded of the networks that were trained alone, in the order of the recipes.

    Args:
        same_width: Those at the search's width, in place of those at equal multiplications.
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    found = []
    for name in planned(same_width=same_width):
        recipe = recipes.get(name)
        seeds = tuple(run for _, _, run in runs.status(recipe, root=root) if run is not None)
        if seeds:
            options = recipe.model.options
            found.append(Alone(name, parse(options["architecture"]), options["width"], seeds))
    return found


@dataclass(frozen=True)
class Ranking:
    """How well shared weights order networks: names, both accuracies, and tau with its interval."""

    names: tuple[str, ...]
    shared: tuple[float, ...]
    alone: tuple[float, ...]
    tau: float
    interval: tuple[float, float]


FEWEST = 4  # networks, below which an interval of tau says nothing


def ranking(search: Search | None, networks: Sequence[Alone]) -> Ranking | None:
    """Return how the shared weights of a search order networks that were fixed beforehand.

    What a search found is left out: it was chosen for its score, which is therefore too high. None
    where there are fewer than `FEWEST` that have both.
    """
    if search is None:
        return None
    fixed = [n for n in networks if kind_of(n.name)]
    both = [n for n in fixed if str(n.architecture) in search.scores]
    if len(both) < FEWEST:
        return None
    shared = tuple(search.scores[str(n.architecture)] for n in both)
    apart = tuple(n.accuracy for n in both)
    return Ranking(
        tuple(n.name for n in both),
        shared,
        apart,
        kendall_tau(shared, apart),
        bootstrap_tau(shared, apart),
    )


def searches() -> dict[str, Search]:
    """Return the recorded searches by name."""
    found = {name: load(name) for name in SEARCHES.values()}
    return {name: search for name, search in found.items() if search is not None}
