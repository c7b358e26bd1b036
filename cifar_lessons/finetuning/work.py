"""A fine-tuned network as a run of its own: trained, scored on what was held out, written."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as to_safetensors

from cifar_lessons import building, experiment, origins, recording, runs
from cifar_lessons.atomic import require_writable, write_atomically
from cifar_lessons.config import Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import Predictions, accuracy
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.finetuning.card import text
from cifar_lessons.finetuning.folder import Pictures
from cifar_lessons.finetuning.network import Tuned, tune
from cifar_lessons.runtime import Runtime, device_name, num_cores
from cifar_lessons.training.fit import FitResult


def finetune(
    pictures: Pictures,
    start: runs.Run,
    recipe: Recipe,
    *,
    out: Path,
    runtime: Runtime,
    seed: int = 0,
    scratch: bool = False,
    command: str = "",
    deadline: float | None = None,
    progress: bool = True,
) -> Path | None:
    """Fine-tune a network and write the run's folder; the same call again goes on.

    Args:
        pictures: To learn from and held out.
        start: The run whose weights are the start.
        recipe: From `recipe_from`.
        out: `run.json` (of kind demo: never recorded), `history.csv`, `val_logits.npz`,
            `weights.safetensors`, `classes.json` and `README.md` appear in it.
        runtime: Device and precision.
        seed: Of the new head, order and augmentation.
        scratch: Train the same network from new weights as well, to compare.
        command: What the user typed, kept with the run.
        deadline: `time.monotonic()` after which it saves and stops.
        progress: Show progress.

    Returns:
        The folder, or None when it stopped before its end.

    Raises:
        UserError: The folder holds another run, or cannot be written.
    """
    require_writable(out)
    if (out / "run.json").exists():
        experiment.require_this_run(out, recipe, seed)
        if runs.read_run(out).provenance["data_digest"] != pictures.digest:
            raise UserError(
                f"{out} holds a finished run on other pictures; delete it, or choose another "
                "folder with --out"
            )
        if progress:
            print(f"already finished: {out}")
        return out
    facts = origins.provenance(
        command=command,
        device=device_name(runtime.device),
        precision=runtime.precision,
        threads=torch.get_num_threads() if runtime.device.type == "cpu" else 0,
        cores=num_cores(),
        data_digest=pictures.digest,
    )

    def train(start: runs.Run | None, name: str) -> Tuned | None:
        found = tune(
            pictures,
            start,
            recipe,
            seed=seed,
            runtime=runtime,
            checkpoint=out / name,
            commit=facts["git_commit"] + ("+dirty" if facts["git_dirty"] else ""),
            deadline=deadline,
            progress=progress,
        )
        if not found.result.finished and progress:
            print(f"stopped by the {found.result.stopped_by}: the same command continues")
        return found if found.result.finished else None

    tuned = train(start, "checkpoint.pt")
    if tuned is None:
        return None
    about: dict[str, Any] = {"start": f"{start.name} {start.key}", "head_alone": tuned.head_alone}
    exact = dataclasses.replace(runtime, precision="fp32")
    if scratch:
        if progress:
            print("from new weights, to compare:")
        new = train(None, "scratch.pt")
        if new is None:
            return None
        about["scratch"] = accuracy(
            predict(new.result.model, pictures.val, recipe.data, runtime=exact)
        )
    result = tuned.result
    facts |= {
        "git_commits": result.commits,
        "train_seconds": round(result.seconds, 1),
        "cpu_seconds": round(result.cpu_seconds, 1),
    }
    logits = predict(result.model, pictures.val, recipe.data, runtime=exact)
    _write(out, recipe, seed, facts, result, logits, pictures, about)
    return out


def _write(
    out: Path,
    recipe: Recipe,
    seed: int,
    facts: dict[str, Any],
    result: FitResult,
    logits: Predictions,
    pictures: Pictures,
    about: dict[str, Any],
) -> None:
    """Write all files of a finished run, `run.json` last."""
    content = to_safetensors({k: v.contiguous() for k, v in result.model.state_dict().items()})
    write_atomically(out / "weights.safetensors", content)
    classes = json.dumps(list(pictures.classes), ensure_ascii=False) + "\n"
    write_atomically(out / "classes.json", classes.encode())
    # As it is stored: every number is computed from that.
    kept = Predictions(recording.half(logits.logits).astype(np.float32), logits.labels)
    about |= {"train_pictures": len(pictures.train), "val_pictures": len(pictures.val)}
    extra: dict[str, Any] = {
        "parameters": building.num_parameters(result.model),
        "classes": list(pictures.classes),
        "official_order": False,
        "weights": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        "finetune": about,
    }
    card = text(kept, pictures.classes, about, recipe=recipe.name, weights=extra["weights"])
    write_atomically(out / "README.md", card.encode())
    recording.write_run(
        out,
        recipe=recipe,
        seed=seed,
        provenance=facts,
        history=result.history,
        logits={"val": kept},
        extra=extra,
        kind="demo",
    )
    for name in ("checkpoint.pt", "scratch.pt"):
        (out / name).unlink(missing_ok=True)
