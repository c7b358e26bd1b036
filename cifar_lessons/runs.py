"""Recorded runs, read with proof that they are fresh. `recording` writes them.

A run is a folder: `run.json` (recipe, provenance, final numbers), `history.csv` (a row an
epoch) and the logits of the test and validation splits, from which every number is computed.
This module imports no torch, so the book's figures draw anywhere.
"""

import csv
import json
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons.config import Distillation, Recipe, in_fold, planned_runs
from cifar_lessons.errors import UserError, suggest
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.fields import differences

SCHEMA = 1
STORED = ("test", "val", "test_views")  # whose logits a run keeps
MOST_NAMED = 12  # recorded runs that a message lists
# What numpy raises for a file that is no archive of arrays, or is cut short.
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class MissingRun(UserError):
    """No such run is recorded."""


class StaleRun(UserError):
    """A run was recorded with other settings than today's recipe."""


@dataclass(frozen=True)
class Run:
    """A finished run, as its folder tells it."""

    recipe: dict[str, Any]
    seed: int
    key: str  # seed0, seed1, … or seed0-fold0, …: the folder's name
    # train, pretrain, search, study, bench or demo; a demo never reaches the ledger. The logits of
    # a pretrain run are what its nearest training images say of an image: it has no classes.
    kind: str
    provenance: dict[str, Any]
    history: list[dict[str, float]]
    final: dict[str, float]
    folder: Path
    surprise: str | None = None  # why it is kept although outside its expected band
    parameters: int = 0
    weights: dict[str, Any] | None = None  # bytes and sha256 of weights.safetensors, if recorded
    official_order: bool = True  # of the images that it was scored on
    classes: tuple[str, ...] = ()  # names in the order of the logits; empty in older records

    @property
    def name(self) -> str:
        """Return the recipe's name."""
        return str(self.recipe["name"])

    @property
    def fold(self) -> int | None:
        """Return which part of a cross-validation was held out; None of a run outside of one."""
        data = self.recipe["data"]
        return int(data["fold"]) if data.get("folds") else None

    @property
    def minutes(self) -> float:
        """Return minutes of training and validation, on cores that may have been shared."""
        return float(self.provenance["train_seconds"]) / 60

    @property
    def core_minutes(self) -> float:
        """Return minutes of processor time, which a shared CPU hardly changes.

        On an accelerator the processor only waits, so there it is the time of the clock.
        """
        facts = self.provenance
        busy = facts.get("cpu_seconds") if facts.get("threads") else None
        return self.minutes if busy is None else float(busy) / 60

    def logits(self, split: str = "test") -> Predictions:
        """Return the stored predictions on `test` or `val`, or on `test_views`.

        The last are of the test images, in the views of a recipe that has `views`.

        Raises:
            ValueError: Of other images none are stored.
            UserError: Nothing is stored for that split, or logits and labels that no network gives.
        """
        if split not in STORED:
            raise ValueError(f"split must be one of {', '.join(STORED)}, got {split!r}")
        stored = self._stored(split, "logits", "labels")
        try:
            return Predictions(stored["logits"].astype(np.float32), stored["labels"])
        except ValueError as error:
            path = self.folder / f"{split}_logits.npz"
            raise UserError(f"cannot use {path}: {error}, and record the run again") from None

    def index(self) -> npt.NDArray[np.int64]:
        """Return which of the training images a fold held out, in the order of its logits.

        Raises:
            UserError: The run is no fold, or its file cannot be read.
        """
        return self._stored("val", "index")["index"].astype(np.int64)

    def _stored(self, split: str, *names: str) -> dict[str, npt.NDArray[Any]]:
        path = self.folder / f"{split}_logits.npz"
        try:
            # Opened here: numpy leaves a file open that turns out to be no archive.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return {name: stored[name] for name in names}
        except UNREADABLE as error:
            raise UserError(f"cannot read {path} ({error}); record the run again") from None


def runs_root() -> Path:
    """Return the folder of recorded runs: CIFAR_LESSONS_RUNS, else `book/runs` of the checkout."""
    chosen = os.environ.get("CIFAR_LESSONS_RUNS")
    return Path(chosen) if chosen else Path(__file__).resolve().parent.parent / "book" / "runs"


# --- Names --------------------------------------------------------------------------------


def run_key(recipe: Recipe, seed: int) -> str:
    """Return the name of a run's folder."""
    return f"seed{seed}-fold{recipe.data.fold}" if recipe.data.folds else f"seed{seed}"


def called(recipe: Recipe, seed: int) -> str:
    """Return what a person calls a run."""
    fold = f" fold {recipe.data.fold}" if recipe.data.folds else ""
    return f"{recipe.name} seed {seed}{fold}"


def _typed(recipe: Recipe, seed: int) -> str:
    """Return the words that choose a run; of a fold those that choose all of its partition."""
    folds = f" --folds {recipe.data.folds}" if recipe.data.folds else ""
    return f"{recipe.name}{folds} --seed {seed}"


def train_command(recipe: Recipe, seed: int) -> str:
    """Return what to type to train a run; of a fold, to train its whole partition."""
    verb = "search" if recipe.objective.kind == "search" else "train"
    return f"cifar-lessons {verb} {_typed(recipe, seed)}"


def record_command(recipe: Recipe, seed: int) -> str:
    """Return what to type to record a run; of a fold, to record its whole partition."""
    return f"cifar-lessons record {_typed(recipe, seed)}"


# --- Reading ------------------------------------------------------------------------------


def read_run(folder: Path | str) -> Run:
    """Return the run in a folder, without asking whether it is fresh.

    Raises:
        UserError: No run, or one of another version.
    """
    folder = Path(folder)
    path = folder / "run.json"
    try:
        content = json.loads(path.read_text())
        with open(folder / "history.csv", newline="") as file:
            history = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    except FileNotFoundError:
        raise MissingRun(f"no run in {folder}: it needs run.json and history.csv") from None
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}); record the run again") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        schema = content.get("schema") if isinstance(content, dict) else None
        raise UserError(
            f"{path} has schema {schema!r}, this version reads {SCHEMA}; record the run again"
        )
    lacking = [k for k in ("recipe", "seed", "kind", "provenance", "final") if k not in content]
    if lacking:
        raise UserError(f"{path} has no {lacking[0]!r}; record the run again")
    return Run(
        recipe=content["recipe"],
        seed=content["seed"],
        key=folder.name,
        kind=content["kind"],
        provenance=content["provenance"],
        history=history,
        final=content["final"],
        folder=folder,
        surprise=content.get("surprise"),
        parameters=content.get("parameters", 0),
        weights=content.get("weights"),
        official_order=content.get("official_order", True),
        classes=tuple(map(str, content.get("classes", ()))),
    )


def load_run(recipe: Recipe, *, seed: int = 0, root: Path | None = None) -> Run:
    """Return a recorded run of exactly this recipe; of one fold, where the recipe is of one.

    `find_run` takes a name or a folder, whatever the recipe is today.

    Raises:
        MissingRun: It was never recorded.
        StaleRun: It was recorded with other settings, and the message names the field; or it is
            built on weights that are no longer the recorded ones.
    """
    if recipe.data.folds:  # the seed of a run draws its partition
        recipe = in_fold(recipe, recipe.data.fold, folds=recipe.data.folds, seed=seed)
    folder = (root or runs_root()) / recipe.name / run_key(recipe, seed)
    again = f"`{train_command(recipe, seed)}`, then `{record_command(recipe, seed)}`"
    if not (folder / "run.json").exists():
        raise MissingRun(f"{called(recipe, seed)} is not recorded yet: run {again}")
    run = read_run(folder)
    changed = differences(run.recipe, recipe)
    if changed:
        raise StaleRun(
            f"{called(recipe, seed)} was recorded with other settings ({'; '.join(changed)}): "
            f"run {again}"
        )
    for name, digest in built_on(run, recipe).items():
        if weights_digest(name, root) not in (digest, None):
            raise StaleRun(
                f"{called(recipe, seed)} is built on other weights than those of {name} that are "
                f"recorded now: run {again}"
            )
    return run


def built_on(run: Run, recipe: Recipe) -> dict[str, str]:
    """Return whose weights a run began with or was taught by, and their sha256 as it noted it."""
    begun, taught = (run.provenance.get(part, {}) for part in ("init", "teacher"))
    found = {}
    if recipe.init is not None and "digest" in begun:
        found[recipe.init] = str(begun["digest"])
    # Older runs did not note it.
    if isinstance(recipe.objective, Distillation) and "weights" in taught:
        found[recipe.objective.teacher] = str(taught["weights"])
    return found


def weights_digest(name: str, root: Path | None = None) -> str | None:
    """Return the sha256 of the recorded weights of a recipe's seed 0, or None where none are kept.

    Args:
        name: Of the recipe.
        root: Folder of the recorded runs; see `runs_root`.
    """
    folder = (root or runs_root()) / name / "seed0"
    kept = read_run(folder).weights if (folder / "run.json").exists() else None
    return None if kept is None else str(kept["sha256"])


def load_seeds(recipe: Recipe, *, root: Path | None = None) -> list[Run]:
    """Return the recorded runs of a recipe, by seed and fold.

    Raises:
        MissingRun: There is none.
        StaleRun: One of them was recorded with other settings.
    """
    found = []
    for seed, planned in planned_runs(recipe):
        try:
            found.append(load_run(planned, seed=seed, root=root))
        except MissingRun:
            continue
    if not found:
        raise MissingRun(
            f"{recipe.name} is not recorded yet: run "
            f"`{train_command(recipe, 0).removesuffix(' --seed 0')}`, then "
            f"`cifar-lessons record {recipe.name}`"
        )
    return found


def find_run(text: str, *, root: Path | None = None) -> Run:
    """Return the run that a person means by `text`.

    Args:
        text: A folder, or `RECIPE` (its seed 0, and of folds the first) or `RECIPE/seed1` among
            the recorded runs.
        root: Of the recorded runs; see `runs_root`.

    Raises:
        MissingRun: Neither is there; the nearest recorded names are offered.
    """
    recorded = root or runs_root()
    seed0 = recorded / text / "seed0"
    for folder in (Path(text), recorded / text, seed0, seed0.with_name("seed0-fold0")):
        if (folder / "run.json").exists():
            return read_run(folder)
    known = {path.parent.parent.name for path in recorded.glob("*/*/run.json")}
    if Path(text).is_dir():
        raise MissingRun(f"the folder {text!r} holds no run: there is no run.json in it")
    name, _, key = text.partition("/")
    if name in known and key:
        keys = sorted(path.parent.name for path in recorded.glob(f"{name}/*/run.json"))
        raise MissingRun(f"no run {text!r}: of {name}, {', '.join(keys)} are recorded")
    near = suggest(text, known)
    if len(known) > MOST_NAMED and near.startswith("known:"):
        near = "`cifar-lessons list` shows what is recorded"
    raise MissingRun(f"no run {text!r}, neither a folder nor a recorded one: {near}")


def status(recipe: Recipe, *, root: Path | None = None) -> list[tuple[int, str, Run | None]]:
    """Return (seed, `fresh` / `stale` / `missing`, run) for each planned run: seed, or its fold."""
    rows: list[tuple[int, str, Run | None]] = []
    for seed, planned in planned_runs(recipe):
        try:
            rows.append((seed, "fresh", load_run(planned, seed=seed, root=root)))
        except MissingRun:
            rows.append((seed, "missing", None))
        except StaleRun:
            rows.append((seed, "stale", None))
    return rows


# --- Studies: measured facts that are no training run ---------------------------------------


# Studies that another command than `study NAME` measures.
MEASURED_BY = {
    "bench_input": "bench input",
    "bench_latency": "bench latency",
    "bench_latency_cuda": "bench latency --device cuda",
    "bench_precision": "bench precision",
    "bench_scaling": "bench scaling",
    "bench_ideas": "bench speedrun --ideas",
    "bench_speedrun": "bench speedrun",
    "browser": "bench browser",
    "folds": "folds folds_base --repeats 8",
    "profile": "bench profile",
    "roofline": "bench roofline",
    "tta": "study tta",
    "tuning": "tune tuning_base --trials 48 --repeat 5",
}


def study_command(name: str) -> str:
    """Return what to type to measure a study and to record it."""
    if name in MEASURED_BY:
        command = MEASURED_BY[name]
    elif name.startswith("bench_"):
        command = f"bench train --model {name.removeprefix('bench_')}"
    else:
        command = f"study {name}"
    return f"cifar-lessons {command} --record"


def find_study(name: str, *, root: Path | None = None) -> dict[str, Any] | None:
    """Return a study as `load_study` does, or None where it is not recorded yet."""
    try:
        return load_study(name, root=root)
    except MissingRun:
        return None


def load_study(name: str, *, root: Path | None = None) -> dict[str, Any]:
    """Return a study: its `values` and its `provenance`.

    Raises:
        MissingRun: It is not recorded.
    """
    path = (root or runs_root()) / "studies" / f"{name}.json"
    if not path.exists():
        raise MissingRun(f"study {name!r} is not recorded yet: run `{study_command(name)}`")
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); run `{study_command(name)}`") from None
    return content
