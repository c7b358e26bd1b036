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
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from cifar_lessons.config import Recipe, differences, to_dict
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import Predictions, accuracy, negative_log_likelihood

SCHEMA = 1
PACKAGES = ("cifar-lessons", "numpy", "torch", "torchvision")


class MissingRun(UserError):
    """No such run is recorded."""


class StaleRun(UserError):
    """A run was recorded with other settings than today's recipe."""


@dataclass(frozen=True)
class Run:
    """A finished run, as its folder tells it."""

    recipe: dict[str, Any]
    seed: int
    key: str  # seed0, seed1, …: the folder's name
    kind: str  # train, pretrain, search, study, bench or demo; a demo never reaches the ledger
    provenance: dict[str, Any]
    history: list[dict[str, float]]
    final: dict[str, float]
    folder: Path
    surprise: str | None = None  # why it is kept although outside its expected band
    parameters: int = 0

    @property
    def name(self) -> str:
        """Return the recipe's name."""
        return str(self.recipe["name"])

    @property
    def minutes(self) -> float:
        """Return minutes of training and validation, on cores that may have been shared."""
        return float(self.provenance["train_seconds"]) / 60

    def logits(self, split: str = "test") -> Predictions:
        """Return the stored predictions on `test` or `val`.

        Raises:
            UserError: Nothing is stored for that split.
        """
        path = self.folder / f"{split}_logits.npz"
        try:
            with np.load(path, allow_pickle=False) as stored:
                return Predictions(stored["logits"].astype(np.float32), stored["labels"])
        except (OSError, ValueError, KeyError) as error:
            raise UserError(f"cannot read {path} ({error}); record the run again") from None


def runs_root() -> Path:
    """Return the folder of recorded runs: CIFAR_LESSONS_RUNS, else `book/runs` of the checkout."""
    chosen = os.environ.get("CIFAR_LESSONS_RUNS")
    return Path(chosen) if chosen else Path(__file__).resolve().parent.parent / "book" / "runs"


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
    # A change outside the package (a chapter, a note) cannot move a result.
    changed = _git("status", "--porcelain", "--", ".")
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "git_commit": _git("rev-parse", "HEAD") or "",
        "git_dirty": changed is None or changed != "",
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


def _npz(predictions: Predictions) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        logits=predictions.logits.astype(np.float16),
        labels=predictions.labels.astype(np.uint8),
    )
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
        kind: See `Run.kind`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in history:
        writer.writerow({k: f"{v:.6g}" for k, v in row.items()})
    (folder / "history.csv").write_text(text.getvalue())
    for split, predictions in logits.items():
        (folder / f"{split}_logits.npz").write_bytes(_npz(predictions))
    content = {
        "schema": SCHEMA,
        "kind": kind,
        "recipe": to_dict(recipe),
        "seed": seed,
        "provenance": dict(provenance),
        "final": final_metrics(logits),
        **extra,
    }
    _write_json(folder / "run.json", content)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    beside = path.with_name(path.name + ".part")
    beside.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(beside, path)


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
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); record the run again") from None
    if content.get("schema") != SCHEMA:
        raise UserError(
            f"{path} has schema {content.get('schema')!r}, this version reads {SCHEMA}; "
            "record the run again"
        )
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
    )


def load_run(recipe: Recipe, *, seed: int = 0, root: Path | None = None) -> Run:
    """Return a recorded run of exactly this recipe.

    Raises:
        MissingRun: It was never recorded.
        StaleRun: It was recorded with other settings; the message names the field.
    """
    folder = (root or runs_root()) / recipe.name / f"seed{seed}"
    again = f"`cifar-lessons train {recipe.name} --seed {seed}`, then `cifar-lessons record {recipe.name} --seed {seed}`"
    if not (folder / "run.json").exists():
        raise MissingRun(f"{recipe.name} seed {seed} is not recorded yet: run {again}")
    run = read_run(folder)
    changed = differences(run.recipe, recipe)
    if changed:
        raise StaleRun(
            f"{recipe.name} seed {seed} was recorded with other settings ({'; '.join(changed)}): "
            f"run {again}"
        )
    return run


def load_seeds(recipe: Recipe, *, root: Path | None = None) -> list[Run]:
    """Return the recorded runs of a recipe, by seed.

    Raises:
        MissingRun: There is none.
        StaleRun: One of them was recorded with other settings.
    """
    found = []
    for seed in range(recipe.seeds):
        try:
            found.append(load_run(recipe, seed=seed, root=root))
        except MissingRun:
            continue
    if not found:
        raise MissingRun(
            f"{recipe.name} is not recorded yet: run `cifar-lessons train {recipe.name}`, then "
            f"`cifar-lessons record {recipe.name}`"
        )
    return found


def status(recipe: Recipe, *, root: Path | None = None) -> list[tuple[int, str, Run | None]]:
    """Return (seed, `fresh` / `stale` / `missing`, run) for each planned seed."""
    rows: list[tuple[int, str, Run | None]] = []
    for seed in range(recipe.seeds):
        try:
            rows.append((seed, "fresh", load_run(recipe, seed=seed, root=root)))
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
        recipe: The registered recipe.
        seed: Of the run.
        outputs: Folder that holds `<recipe>/seed<k>/`.
        root: Of the recorded runs; see `runs_root`.
        surprise: Why the run is kept although its accuracy lies outside the expected band.

    Raises:
        UserError: The run is unfinished, was made with other settings, on made-up data or from
            uncommitted code, or lies outside its band and no reason is given.
    """
    key = f"seed{seed}"
    source = outputs / recipe.name / key
    again = f"cifar-lessons train {recipe.name} --seed {seed}"
    if not (source / "run.json").exists():
        raise MissingRun(f"no finished run in {source}; run `{again}` first")
    run = read_run(source)
    changed = differences(run.recipe, recipe)
    if changed:
        raise StaleRun(f"{source} was made with other settings ({'; '.join(changed)}); `{again}`")
    if not 0 <= seed < recipe.seeds or run.seed != seed:
        raise UserError(
            f"seed {seed} is not among the planned ones of {recipe.name} (0 to {recipe.seeds - 1})"
        )
    if run.provenance["data_digest"] == "synthetic":
        raise UserError(
            f"{source} was trained on synthetic data, which is never recorded; `{again}`"
        )
    facts = json.loads((source / "run.json").read_text())
    if not facts.get("official_order", True):
        raise UserError(
            f"{source} was trained on data in another order than the official one; `cifar-lessons "
            f"data` fetches the official archive, then `{again}`"
        )
    if run.provenance["git_dirty"]:
        raise UserError(
            f"{source} was trained from uncommitted code; commit it, delete the folder, `{again}`"
        )
    band, got = recipe.expects, run.final["test_accuracy"]
    if band and not band.low <= got <= band.high and not surprise:
        raise UserError(
            f"{recipe.name} seed {seed} gave a test accuracy of {got:.4f}, outside its band "
            f"[{band.low}, {band.high}]; keep it with --surprise 'the reason'"
        )
    target = (root or runs_root()) / recipe.name / key
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        if path.suffix in (".csv", ".npz"):
            shutil.copyfile(path, target / path.name)
    if recipe.keep_weights and seed == 0:
        facts["weights"] = _keep_weights(source / "weights.safetensors", target)
    if surprise:
        facts["surprise"] = surprise
    _write_json(target / "run.json", facts)
    return read_run(target)


def _keep_weights(source: Path, target: Path) -> dict[str, Any]:
    """Write the weights in half precision; return name, size and sha256 for `run.json`."""
    import hashlib

    from safetensors.numpy import load_file
    from safetensors.numpy import save as to_bytes

    tensors = load_file(source)
    half = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in tensors.items()}
    content = to_bytes(half)
    (target / "weights.safetensors").write_bytes(content)
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


# --- Studies: measured facts that are no training run ---------------------------------------


def record_study(
    name: str, values: Mapping[str, Any], *, provenance: Mapping[str, Any], root: Path | None = None
) -> Path:
    """Write measured facts to `studies/<name>.json`, with their provenance."""
    folder = (root or runs_root()) / "studies"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    content = {"schema": SCHEMA, "kind": "study", "provenance": dict(provenance), "values": values}
    _write_json(path, content)
    return path


def load_study(name: str, *, root: Path | None = None) -> dict[str, Any]:
    """Return a study: its `values` and its `provenance`.

    Raises:
        MissingRun: It is not recorded.
    """
    path = (root or runs_root()) / "studies" / f"{name}.json"
    if not path.exists():
        raise MissingRun(f"study {name!r} is not recorded yet: run `cifar-lessons study {name}`")
    content: dict[str, Any] = json.loads(path.read_text())
    return content
