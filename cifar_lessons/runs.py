"""Recorded runs: written once, read with proof that they are fresh.

A run is a folder: `run.json` (recipe, provenance, final numbers), `history.csv` (a row an
epoch) and the logits of the test and validation splits, from which every number is computed.
This module imports no torch, so the book's figures draw anywhere.
"""

import csv
import datetime
import io
import json
import os
import platform
import subprocess
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons.atomic import write_atomically
from cifar_lessons.config import Recipe, differences, in_fold, planned_runs, to_dict
from cifar_lessons.errors import UserError, suggest
from cifar_lessons.evaluation.metrics import Predictions, accuracy, negative_log_likelihood

SCHEMA = 1
PACKAGES = ("cifar-lessons", "numpy", "torch", "torchvision")
# What numpy raises for a file that is no archive of arrays, or is cut short.
UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
RECORDS = "make the folder of recorded runs (CIFAR_LESSONS_RUNS, else book/runs) writable"


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
        """Return the stored predictions on `test` or `val`.

        Raises:
            UserError: Nothing is stored for that split, or logits and labels that no network gives.
        """
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


def _called(recipe: Recipe, seed: int) -> str:
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


# --- Provenance ---------------------------------------------------------------------------


def _git(*arguments: str) -> str | None:
    """Return what git prints in the checkout of this package, or None where there is none."""
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _is_ours() -> bool:
    """Return whether the repository around this package holds it.

    Where it lies in one that does not, such as that around a .venv, its commit says nothing.
    """
    return bool(_git("ls-files", "--", "__init__.py"))


def is_dirty() -> bool:
    """Return whether this package has uncommitted changes, or no commit that is known.

    A change outside the package (a chapter, a note) cannot move a result, and does not count.
    """
    changed = _git("status", "--porcelain", "--", ".") if _is_ours() else None
    return changed is None or changed != ""


def provenance(
    *, command: str, device: str, precision: str, threads: int, cores: int, data_digest: str
) -> dict[str, Any]:
    """Return what is known at the start of a run about code, machine and data.

    Args:
        command: What the user typed.
        device: A name such as `AMD EPYC` or `NVIDIA H100`.
        precision: fp32, bf16 or fp16.
        threads: That torch computes with; 0 on an accelerator.
        cores: CPU cores that the process may use.
        data_digest: md5 of the data files, or `synthetic`.
    """
    ours = _is_ours()
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "git_commit": (_git("rev-parse", "HEAD") or "") if ours else "",
        "git_dirty": is_dirty(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "device": device,
        "cores": cores,
        "threads": threads,
        "precision": precision,
        "started_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "command": command,
        "data_digest": data_digest,
    }


# --- Writing ------------------------------------------------------------------------------


def final_metrics(logits: Mapping[str, Predictions]) -> dict[str, float]:
    """Return accuracy (a fraction) and loss (nats) of each split, computed from its logits."""
    final = {}
    for split, predictions in logits.items():
        final[f"{split}_accuracy"] = accuracy(predictions)
        final[f"{split}_loss"] = negative_log_likelihood(predictions)
    return final


def _npz(predictions: Predictions, index: npt.NDArray[np.int64] | None = None) -> bytes:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {
        "logits": predictions.logits.astype(np.float16),
        "labels": predictions.labels.astype(np.uint8),
    }
    if index is not None:
        arrays["index"] = index.astype(np.uint16)  # below 50,000
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def write_run(
    folder: Path,
    *,
    recipe: Recipe,
    seed: int,
    provenance: Mapping[str, Any],
    history: list[dict[str, float]],
    logits: Mapping[str, Predictions],
    extra: Mapping[str, Any],
    index: Mapping[str, npt.NDArray[np.int64]] | None = None,
    kind: str = "train",
) -> None:
    """Write a finished run; `run.json` comes last, so a folder that holds one is whole.

    Args:
        folder: Of the run.
        recipe: As it was trained.
        seed: Of everything random.
        provenance: From `provenance`, with seconds added.
        history: A row an epoch.
        logits: By split, already rounded to float16 so that `final` can be recomputed exactly.
        extra: More facts for `run.json`.
        index: By split, where each image stands in the official order, if that is not plain.
        kind: See `Run.kind`.
    """
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in history:
        writer.writerow({k: f"{v:.6g}" for k, v in row.items()})
    write_atomically(folder / "history.csv", text.getvalue().encode())
    for split, predictions in logits.items():
        order = (index or {}).get(split)
        write_atomically(folder / f"{split}_logits.npz", _npz(predictions, order))
    content = {
        "schema": SCHEMA,
        "kind": kind,
        "recipe": to_dict(recipe),
        "seed": seed,
        "provenance": dict(provenance),
        "final": final_metrics(logits),
        **extra,
    }
    write_atomically(folder / "run.json", _json(content))


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


# --- Reading ------------------------------------------------------------------------------


def read_run(folder: Path) -> Run:
    """Return the run in a folder, without asking whether it is fresh.

    Raises:
        UserError: No run, or one of another version.
    """
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

    Raises:
        MissingRun: It was never recorded.
        StaleRun: It was recorded with other settings; the message names the field.
    """
    if recipe.data.folds:  # the seed of a run draws its partition
        recipe = in_fold(recipe, recipe.data.fold, folds=recipe.data.folds, seed=seed)
    folder = (root or runs_root()) / recipe.name / run_key(recipe, seed)
    again = f"`{train_command(recipe, seed)}`, then `{record_command(recipe, seed)}`"
    if not (folder / "run.json").exists():
        raise MissingRun(f"{_called(recipe, seed)} is not recorded yet: run {again}")
    run = read_run(folder)
    changed = differences(run.recipe, recipe)
    if changed:
        raise StaleRun(
            f"{_called(recipe, seed)} was recorded with other settings ({'; '.join(changed)}): "
            f"run {again}"
        )
    return run


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
    raise MissingRun(
        f"no run {text!r}, neither a folder nor a recorded one: {suggest(text, known)}"
    )


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


# --- Recording ----------------------------------------------------------------------------


def record(
    recipe: Recipe,
    *,
    seed: int,
    outputs: Path,
    root: Path | None = None,
    surprise: str | None = None,
) -> Run:
    """Copy a finished run from `outputs` into the recorded runs.

    Args:
        recipe: The registered recipe, or one fold of it.
        seed: Of the run.
        outputs: Folder that holds `<recipe>/seed<k>/`.
        root: Of the recorded runs; see `runs_root`.
        surprise: Why the run is kept although its accuracy lies outside the expected band.

    Raises:
        UserError: The run is unfinished, was made with other settings, on made-up data or from
            uncommitted code, or lies outside its band and no reason is given.
    """
    facts = _recordable(recipe, seed, outputs, surprise)
    return _copy(recipe, seed, facts, outputs, root or runs_root(), surprise)


def record_folds(
    recipe: Recipe,
    *,
    folds: int,
    seed: int,
    outputs: Path,
    root: Path | None = None,
    surprise: str | None = None,
) -> list[Run]:
    """Copy all folds of a partition into the recorded runs, or none of them.

    Args:
        recipe: The registered recipe.
        folds: Of the partition.
        seed: Of the runs, and of the partition.
        outputs: See `record`.
        root: See `record`.
        surprise: See `record`.

    Raises:
        UserError: See `record`; of any fold.
    """
    parts = [in_fold(recipe, fold, folds=folds, seed=seed) for fold in range(folds)]
    facts = [_recordable(part, seed, outputs, surprise) for part in parts]
    return [
        _copy(part, seed, found, outputs, root or runs_root(), surprise)
        for part, found in zip(parts, facts, strict=True)
    ]


def _recordable(recipe: Recipe, seed: int, outputs: Path, surprise: str | None) -> dict[str, Any]:
    """Return what `run.json` of a finished run says, if it may be recorded."""
    source = outputs / recipe.name / run_key(recipe, seed)
    again = train_command(recipe, seed)
    afresh = f"delete the folder, then `{again}`"
    if not 0 <= seed < recipe.seeds:
        raise UserError(
            f"seed {seed} is not among the planned ones of {recipe.name} (0 to {recipe.seeds - 1})"
        )
    if not (source / "run.json").exists():
        raise MissingRun(f"no finished run in {source}; run `{again}` first")
    run = read_run(source)
    changed = differences(run.recipe, recipe)
    if run.seed != seed:
        changed.insert(0, f"seed: recorded {run.seed}, now {seed}")
    if changed:
        raise StaleRun(f"{source} was made with other settings ({'; '.join(changed)}); {afresh}")
    require_presentable(run, afresh)
    band, got = recipe.expects, run.final.get("test_accuracy", 0.0)  # a search has none
    if band and not band.low <= got <= band.high and not surprise:
        raise UserError(
            f"{_called(recipe, seed)} gave a test accuracy of {got:.4f}, outside its band "
            f"[{band.low}, {band.high}]; keep it with --surprise 'the reason'"
        )
    facts: dict[str, Any] = json.loads((source / "run.json").read_text())
    return facts


def require_presentable(run: Run, mend: str) -> None:
    """Raise unless a finished run was made with real data and known code.

    Raises:
        UserError: It was not; the message ends with `mend`.
    """
    if run.provenance["data_digest"] == "synthetic":
        raise UserError(f"{run.folder} was trained on synthetic data, never recorded; {mend}")
    if not run.official_order:
        raise UserError(
            f"{run.folder} was trained on data in another order than the official one; "
            f"`cifar-lessons data --official-order` fetches the official archive; {mend}"
        )
    if run.provenance["git_dirty"]:
        raise UserError(f"{run.folder} was trained from uncommitted code; commit it, {mend}")


def _copy(
    recipe: Recipe,
    seed: int,
    facts: dict[str, Any],
    outputs: Path,
    root: Path,
    surprise: str | None,
) -> Run:
    """Write a run that may be recorded into the recorded runs."""
    key = run_key(recipe, seed)
    source, target = outputs / recipe.name / key, root / recipe.name / key
    weights = source / "weights.safetensors"
    if recipe.keep_weights and key == "seed0":
        if not weights.exists():
            afresh = f"delete the folder, then `{train_command(recipe, seed)}`"
            raise UserError(f"{weights} is missing; {afresh}")
        facts["weights"] = _keep_weights(weights, target)
    for path in source.iterdir():
        if path.suffix in (".csv", ".npz"):
            write_atomically(target / path.name, path.read_bytes(), mend=RECORDS)
    if surprise:
        facts["surprise"] = surprise
    write_atomically(target / "run.json", _json(facts), mend=RECORDS)
    return read_run(target)


def _keep_weights(source: Path, target: Path) -> dict[str, Any]:
    """Write the weights in half precision; return name, size and sha256 for `run.json`."""
    import hashlib

    from safetensors import SafetensorError
    from safetensors.numpy import load_file
    from safetensors.numpy import save as to_bytes

    try:
        tensors = load_file(source)
    except SafetensorError as error:
        raise UserError(f"{source} is damaged ({error}); train the run again") from None
    half = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in tensors.items()}
    content = to_bytes(half)
    write_atomically(target / "weights.safetensors", content, mend=RECORDS)
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


# --- Studies: measured facts that are no training run ---------------------------------------


# Studies that another command than `study NAME` measures.
MEASURED_BY = {
    "bench_input": "bench input",
    "bench_latency": "bench latency",
    "bench_precision": "bench precision",
    "bench_scaling": "bench scaling",
    "bench_speedrun": "bench speedrun",
    "browser": "bench browser",
    "folds": "folds folds_base --repeats 8",
    "profile": "bench profile",
    "roofline": "bench roofline",
    "tta": "study tta",
    "tuning": "tune tuning_base --trials 48 --repeat 5",
}


def study_command(name: str) -> str:
    """Return what to type to measure a study."""
    if name in MEASURED_BY:
        return f"cifar-lessons {MEASURED_BY[name]}"
    if name.startswith("bench_"):
        return f"cifar-lessons bench train --model {name.removeprefix('bench_')}"
    return f"cifar-lessons study {name}"


def record_study(
    name: str, values: Mapping[str, Any], *, provenance: Mapping[str, Any], root: Path | None = None
) -> Path:
    """Write measured facts to `studies/<name>.json`, with their provenance.

    Raises:
        UserError: The code that measured them is not committed.
    """
    if provenance["git_dirty"]:
        raise UserError(
            f"study {name!r} was measured with uncommitted code; commit it, then run "
            f"`{study_command(name)} --record` again"
        )
    folder = (root or runs_root()) / "studies"
    path = folder / f"{name}.json"
    content = {"schema": SCHEMA, "kind": "study", "provenance": dict(provenance), "values": values}
    write_atomically(path, _json(content), mend=RECORDS)
    return path


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
        raise UserError(
            f"{path} cannot be read ({error}); run `{study_command(name)} --record`"
        ) from None
    return content
