"""From a recorded run to a set of weights that comes with the package: a maintainer's command."""

import hashlib
import json
from pathlib import Path
from typing import Any

from cifar_lessons import pretrained, recipes, recording, runs
from cifar_lessons.atomic import write_atomically
from cifar_lessons.errors import UserError

MOST_BYTES = 5_000_000  # of one set
MOST_TOGETHER = 15_000_000
MEND = "work in a checkout that you may write to"
# Of the provenance: what says where the numbers come from, and nothing of the machine's load.
KEPT = ("git_commit", "command", "started_at", "device", "precision", "packages", "data_digest")


def ship(name: str, *, seed: int = 0) -> Path:
    """Copy the weights of a recorded run into the package, with a card.

    Args:
        name: Of a registered recipe; its recorded run must be fresh and keep its weights.
        seed: Of the run.

    Returns:
        The folder of the set.

    Raises:
        UserError: Nothing fresh is recorded, the weights are missing or not those of the record,
            or they are too large.
    """
    run = runs.load_run(recipes.get(name), seed=seed)
    recording.require_presentable(run, f"`{runs.train_command(recipes.get(name), seed)}`")
    if run.kind != "train":
        raise UserError(f"{name} is of kind {run.kind} and answers no classes; ship a trained run")
    source = run.folder / pretrained.WEIGHTS
    try:
        content = source.read_bytes()
    except OSError:
        raise UserError(
            f"{run.folder} keeps no weights; a recipe with keep_weights=True keeps those of seed 0"
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    if not run.weights or digest != run.weights["sha256"]:
        raise UserError(f"{source} is not the file that was recorded (its sha256 differs)")
    _require_small(name, len(content))
    folder = pretrained.root() / name
    card = _card(run, {"bytes": len(content), "sha256": digest, "dtype": "float16"})
    write_atomically(folder / pretrained.WEIGHTS, content, mend=MEND)
    write_atomically(folder / "README.md", _model_card(card).encode(), mend=MEND)
    # Last: a folder with a card is whole.
    text = json.dumps(card, indent=1) + "\n"
    write_atomically(folder / pretrained.CARD, text.encode(), mend=MEND)
    return folder


def _require_small(name: str, size: int) -> None:
    """Raise unless a set of this size may be shipped beside the others."""
    if size > MOST_BYTES:
        raise UserError(
            f"the weights of {name} are {size / 1e6:.1f} MB, and {MOST_BYTES / 1e6:.0f} MB is the "
            "most that is shipped; take a narrower network"
        )
    rest = [pretrained.card(other) for other in pretrained.names() if other != name]
    together = size + sum(run.weights["bytes"] for run in rest if run.weights)
    if together > MOST_TOGETHER:
        raise UserError(
            f"all shipped weights with {name} would be {together / 1e6:.1f} MB, and "
            f"{MOST_TOGETHER / 1e6:.0f} MB is the most; delete a set in {pretrained.root()}"
        )


def _card(run: runs.Run, weights: dict[str, Any]) -> dict[str, Any]:
    """Return what `card.json` says."""
    return {
        "format": pretrained.FORMAT,
        "recipe": run.recipe,
        "seed": run.seed,
        "provenance": {key: run.provenance[key] for key in KEPT if key in run.provenance},
        "final": run.final,
        "test_images": len(run.logits("test")),
        "parameters": run.parameters,
        "classes": list(run.classes),
        "weights": weights,
    }


def _model_card(card: dict[str, Any]) -> str:
    """Return the card for a person: what it is, what it reaches, what it is not for."""
    recipe, provenance, final = card["recipe"], card["provenance"], card["final"]
    options = ", ".join(f"{k} {v}" for k, v in recipe["model"]["options"].items())
    network = recipe["model"]["name"] + (f" ({options})" if options else "")
    dataset = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}[recipe["data"]["dataset"]]
    held_out = (
        f"It was trained on {50_000 - recipe['data']['val_size']:,} images. On the "
        f"{recipe['data']['val_size']:,} held out of training it reaches "
        f"{100 * final['val_accuracy']:.2f} %."
        if "val_accuracy" in final
        else "It was trained on all 50,000 training images; nothing was held out."
    )
    looks = (
        f" With several looks averaged, as its recipe says, {100 * views:.2f} %."
        if (views := final.get("test_views_accuracy")) is not None
        else ""
    )
    weights = card["weights"]
    return f"""# {recipe["name"]}

Written by `cifar-lessons ship {recipe["name"]}`; do not edit.

**What it is.** {network}, {card["parameters"]:,} parameters, for the {len(card["classes"])} classes
of {dataset}: {", ".join(card["classes"])}. Images are 32 x 32 pixels, three colours.

**What it reaches.** {100 * final["test_accuracy"]:.2f} % on the {card["test_images"]:,} test images
of {dataset}, one look at each, computed from the logits of the recorded run.{looks} {held_out}

**Where it comes from.** Recipe `{recipe["name"]}`, seed {card["seed"]}, one of the runs recorded in
`book/runs/`: commit `{provenance["git_commit"]}`, `{provenance["command"]}`, started
{provenance["started_at"]} on {provenance["device"]}, {provenance["precision"]}. The seed was fixed
beforehand; it is not the best of several.

**The file.** `{pretrained.WEIGHTS}`: {weights["bytes"]:,} bytes, {weights["dtype"]}, sha256
`{weights["sha256"]}`. It is checked before it is read, and holds tensors alone.

**What it is for.** Lessons, demonstrations, a start for fine-tuning, tests of a deployment.

**What it is not for.** Any decision about people or safety. It knows its classes and no other, and
always names one of them, often with a high probability, whatever it is shown. Photographs of
another kind than the small, centred ones of {dataset} are recognised less often, and by how much
was not measured.

**Licences.** Code and weights: MIT, as the rest of the package. The images are not in the package.
{dataset} (A. Krizhevsky, 2009) was published without a licence; its pictures come from the web, and
their authors' rights are not known. Ask before you build a product on weights trained on it.
"""
