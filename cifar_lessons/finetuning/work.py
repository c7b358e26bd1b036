"""A fine-tuned network as a run of its own: trained, scored on what was held out, written."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save as to_safetensors

from cifar_lessons import building, recording, runs
from cifar_lessons.atomic import write_atomically
from cifar_lessons.config import Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.metrics import Predictions, accuracy
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.finetuning.card import about_run, text
from cifar_lessons.finetuning.folder import Pictures
from cifar_lessons.finetuning.network import Tuned, tune
from cifar_lessons.runtime import Runtime
from cifar_lessons.sitting import sit_down
from cifar_lessons.training.fit import FitResult
from cifar_lessons.training.step import LossIsNotFinite

SCRATCH = "scratch.pt"  # checkpoint of the network from new weights


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
        UserError: The folder holds another run, cannot be written, or another process works in it.
    """
    about: dict[str, Any] = {"start": f"{start.name} {start.key}"}
    _require_these(out, pictures, about["start"], scratch)
    with sit_down(
        recipe, seed=seed, out=out, data_digest=pictures.digest, runtime=runtime, command=command,
        progress=progress,
    ) as sitting:  # fmt: skip
        if sitting is None:
            return out

        def train(start: runs.Run | None, checkpoint: Path) -> Tuned:
            return tune(
                pictures,
                start,
                recipe,
                seed=seed,
                runtime=runtime,
                checkpoint=checkpoint,
                commit=sitting.commit,
                deadline=deadline,
                progress=progress,
            )

        tuned = train(start, sitting.checkpoint)
        if not sitting.completed(tuned.result):
            return None
        about["head_alone"] = tuned.head_alone
        exact = dataclasses.replace(runtime, precision="fp32")
        if scratch:
            if progress:
                print("from new weights, to compare:")
            try:
                new = train(None, out / SCRATCH).result
            except LossIsNotFinite:  # a comparison that fails must not cost what has succeeded
                about["scratch"] = None
                if progress:
                    print("the network from new weights diverged: there is nothing to compare")
            else:
                if sitting.stopped(new):
                    return None
                about["scratch"] = accuracy(
                    predict(new.model, pictures.val, recipe.data, runtime=exact)
                )
        logits = predict(tuned.result.model, pictures.val, recipe.data, runtime=exact)
        _write(out, recipe, seed, sitting.provenance, tuned.result, logits, pictures, about)
        (out / SCRATCH).unlink(missing_ok=True)
    return out


def _require_these(out: Path, pictures: Pictures, start: str, scratch: bool) -> None:
    """Raise where a finished run had other pictures or weights, or lacks a comparison."""
    if not (out / "run.json").exists():
        return
    digest, about = runs.read_run(out).provenance["data_digest"], about_run(out)
    mistake = ""
    if digest != pictures.digest:
        mistake = "on other pictures"
    elif about["start"] != start:
        mistake = f"that started from {about['start']}, not from {start}"
    elif scratch and "scratch" not in about:
        mistake = "without --scratch"
    if mistake:
        raise UserError(
            f"{out} holds a finished run {mistake}; delete it, or choose another folder with --out"
        )


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
