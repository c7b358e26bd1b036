"""From a recipe of a search to a finished run of kind `search`."""

import time
from pathlib import Path
from typing import Any

import torch

from cifar_lessons import building, experiment, recording
from cifar_lessons.config import Recipe
from cifar_lessons.data.cifar import Cifar
from cifar_lessons.enas.arms import CONTROLS
from cifar_lessons.enas.search import Found, search
from cifar_lessons.enas.words import movement
from cifar_lessons.runtime import Runtime, in_precision, stream
from cifar_lessons.sitting import sit_down

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
    layers = recipe.objective.layers if recipe.objective.kind == "search" else 0
    with sit_down(
        recipe, seed=seed, out=out, data_digest=data.digest, runtime=runtime, command=command,
        progress=progress,
    ) as sitting:  # fmt: skip
        if sitting is None:
            return out
        found = search(
            recipe,
            data,
            seed=seed,
            runtime=runtime,
            also=[a for a, _ in CONTROLS.values() if len(a) == layers],
            checkpoint=sitting.checkpoint,
            identity=experiment.identity_of(recipe, seed, data, runtime),
            commit=sitting.commit,
            deadline=deadline,
            progress=sitting.talks,
        )
        if sitting.talks and (moved := movement(found.trace)):
            print(moved)
        if not sitting.completed(found):
            return None
        start = time.monotonic()
        facts = _facts(found, seed)
        sitting.provenance["summary_seconds"] = round(time.monotonic() - start, 1)
        recording.write_run(
            out,
            recipe=recipe,
            seed=seed,
            provenance=sitting.provenance,
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
