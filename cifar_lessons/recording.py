"""Runs and studies, written once: finished ones by training, recorded ones by `record`.

`runs` reads them. This module imports no torch either.
"""

import contextlib
import csv
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons.atomic import write_atomically
from cifar_lessons.config import Recipe, in_fold
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import Predictions, accuracy, negative_log_likelihood
from cifar_lessons.fields import differences, to_dict
from cifar_lessons.runs import (
    SCHEMA,
    MissingRun,
    Run,
    StaleRun,
    built_on,
    called,
    read_run,
    run_key,
    runs_root,
    study_command,
    train_command,
    weights_digest,
)

RECORDS = "make the folder of recorded runs (CIFAR_LESSONS_RUNS, else book/runs) writable"


# --- A finished run -------------------------------------------------------------------------


def half(logits: np.ndarray) -> np.ndarray:
    """Return logits in float16, shape (N, K).

    A row that is too large for it, as a network near divergence gives, is moved to a maximum of
    0 first: that changes no probability.
    """
    limit = np.finfo(np.float16).max
    large = np.abs(logits).max(axis=1, keepdims=True) > limit
    moved = np.where(large, logits - logits.max(axis=1, keepdims=True), logits)
    half: np.ndarray = moved.clip(-limit, limit).astype(np.float16)
    return half


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
        # A folder of one's own may have more classes than a byte tells apart.
        "labels": predictions.labels.astype(
            np.uint8 if predictions.labels.max(initial=0) < 256 else np.uint16
        ),
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
        provenance: From `origins.provenance`, with seconds added.
        history: A row an epoch.
        logits: By split, already rounded to float16 so that `final` can be recomputed exactly.
        extra: More facts for `run.json`.
        index: By split, where each image stands in the official order, if that is not plain.
        kind: See `runs.Run.kind`.
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


# --- Recording ------------------------------------------------------------------------------


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
    facts = _recordable(recipe, seed, outputs, surprise, root or runs_root())
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
    facts = [_recordable(part, seed, outputs, surprise, root or runs_root()) for part in parts]
    return [
        _copy(part, seed, found, outputs, root or runs_root(), surprise)
        for part, found in zip(parts, facts, strict=True)
    ]


def _recordable(
    recipe: Recipe, seed: int, outputs: Path, surprise: str | None, root: Path
) -> dict[str, Any]:
    """Return what `run.json` of a finished run says, if it may be recorded."""
    source = outputs / recipe.name / run_key(recipe, seed)
    again = train_command(recipe, seed)
    afresh = f"delete the folder, then `{again}`"
    if not recipe.seeds:
        raise UserError(f"{recipe.name} plans no runs to record ({recipe.about})")
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
    _require_recorded(built_on(run, recipe), run, root, afresh)
    band, got = recipe.expects, run.final.get("test_accuracy", 0.0)  # a search has none
    if band and not band.low <= got <= band.high and not surprise:
        raise UserError(
            f"{called(recipe, seed)} gave a test accuracy of {got:.4f}, outside its band "
            f"[{band.low}, {band.high}]; keep it with --surprise 'the reason'"
        )
    facts: dict[str, Any] = json.loads((source / "run.json").read_text())
    return facts


def _require_recorded(weights: Mapping[str, str], run: Run, root: Path, mend: str) -> None:
    """Raise unless the weights that a run is built on are the recorded ones."""
    for name, digest in weights.items():
        recorded = weights_digest(name, root)
        if recorded is None:
            raise MissingRun(
                f"{run.folder} is built on weights of {name} that are not recorded; record {name}, "
                f"{mend}"
            )
        if recorded != digest:
            raise StaleRun(
                f"{run.folder} is built on other weights than the recorded {name}'s; {mend}"
            )


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
    # A folder that holds one is whole: an older record ends before its files are replaced.
    with contextlib.suppress(OSError):  # where it can't be, the next line tells
        (target / "run.json").unlink()
    for path in source.iterdir():
        if path.suffix in (".csv", ".npz"):
            write_atomically(target / path.name, path.read_bytes(), mend=RECORDS)
    if surprise:
        facts["surprise"] = surprise
    write_atomically(target / "run.json", _json(facts), mend=RECORDS)
    return read_run(target)


def _keep_weights(source: Path, target: Path) -> dict[str, Any]:
    """Write the weights in half precision; return name, size and sha256 for `run.json`."""
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
            f"`{study_command(name)}` again"
        )
    folder = (root or runs_root()) / "studies"
    path = folder / f"{name}.json"
    content = {"schema": SCHEMA, "kind": "study", "provenance": dict(provenance), "values": values}
    write_atomically(path, _json(content), mend=RECORDS)
    return path
