"""From a recipe of a search to a finished run of kind `search`."""

import time
from pathlib import Path
from typing import Any

import torch

from cifar_lessons import building, experiment, origins, recording
from cifar_lessons.atomic import alone_in
from cifar_lessons.config import Recipe
from cifar_lessons.data.cifar import Cifar
from cifar_lessons.enas.arms import CONTROLS
from cifar_lessons.enas.search import Found, search
from cifar_lessons.enas.words import movement
from cifar_lessons.runtime import Runtime, device_name, in_precision, num_cores, stream

EVERY = 10  # updates of the controller of which the record keeps one
DRAWN = 500  # architectures whose mean probabilities are kept as those at the end


def run(
    recipe: Recipe,
    *,
    seed: int,
    out: Path,
    data: Cifar,
    runtime: Runtime,
    command: str = "",
    deadline: float | None = None,
    progress: bool = True,
) -> Path | None:
    """Search, score the candidates and the controls on validation, and write a run folder.

    The same call again continues a search that was stopped, and returns at once for a finished
    one. Test images are not touched.

    Args:
        recipe: Of a search.
        seed: Of everything random.
        out: Folder of the run.
        data: The splits.
        runtime: Device and precision.
        command: What the user typed, kept with the run.
        deadline: `time.monotonic()` after which the search saves and stops.
        progress: Show progress.

    Returns:
        The folder, or None when the search stopped before its end.

    Raises:
        UserError: The folder holds another run, cannot be written, or another process works in it.
    """
    runtime = in_precision(runtime, recipe.precision)
    with alone_in(out):
        return _run(
            recipe, seed=seed, out=out, data=data, runtime=runtime, command=command,
            deadline=deadline, progress=progress,
        )  # fmt: skip


def _run(
    recipe: Recipe,
    *,
    seed: int,
    out: Path,
    data: Cifar,
    runtime: Runtime,
    command: str,
    deadline: float | None,
    progress: bool,
) -> Path | None:
    """Do what `run` says, in a folder that no other process works in."""
    checkpoint = out / "checkpoint.pt"
    if (out / "run.json").exists():
        experiment.require_this_run(out, recipe, seed)
        checkpoint.unlink(missing_ok=True)
        if progress:
            print(f"already finished: {out}")
        return out
    provenance = origins.provenance(
        command=command,
        device=device_name(runtime.device),
        precision=runtime.precision,
        threads=torch.get_num_threads() if runtime.device.type == "cpu" else 0,
        cores=num_cores(),
        data_digest=data.digest,
    )
    layers = recipe.objective.layers if recipe.objective.kind == "search" else 0
    found = search(
        recipe,
        data,
        seed=seed,
        runtime=runtime,
        also=[a for a, _ in CONTROLS.values() if len(a) == layers],
        checkpoint=checkpoint,
        identity=experiment.identity_of(recipe, seed, data, runtime),
        commit=provenance["git_commit"] + ("+dirty" if provenance["git_dirty"] else ""),
        deadline=deadline,
        progress=progress,
    )
    if progress and (moved := movement(found.trace)):
        print(moved)
    if not found.finished:
        if progress:
            print(f"stopped by the {found.stopped_by} and saved: the same command continues")
        return None
    provenance["git_commits"] = found.commits
    provenance["git_dirty"] = any(c.endswith("+dirty") or c == "" for c in found.commits)
    provenance["train_seconds"] = round(found.seconds, 1)
    provenance["cpu_seconds"] = round(found.cpu_seconds, 1)
    provenance["world_size"] = 1
    start = time.monotonic()
    facts = _facts(found, seed)
    provenance["summary_seconds"] = round(time.monotonic() - start, 1)
    recording.write_run(
        out,
        recipe=recipe,
        seed=seed,
        provenance=provenance,
        history=found.history,
        logits={},
        extra={
            "final": {"shared_val_accuracy": found.scores[found.best]},
            "parameters": building.num_parameters(found.network),
            "classes": list(data.classes),
            "official_order": data.official_order,
            "search": facts,
        },
        kind="search",
    )
    checkpoint.unlink(missing_ok=True)
    return out


def _facts(found: Found, seed: int) -> dict[str, Any]:
    """Return what the record keeps of a finished search, ready for JSON."""
    with torch.no_grad():
        drawn = found.controller.sample(DRAWN, stream(seed, "policy", 2**31 + 1))
    kept = found.trace[::EVERY] if len(found.trace) > EVERY else found.trace
    return {
        "best": found.best,
        "candidates": found.candidates,
        "scores": {name: round(score, 6) for name, score in found.scores.items()},
        "trace": {k: [round(row[k], 5) for row in kept] for k in (kept[0] if kept else {})},
        "operations": _rounded(drawn.operations.mean(dim=0)),
        "skips": _rounded(drawn.skips.mean(dim=0)),
    }


def _rounded(table: torch.Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in table.tolist()]
