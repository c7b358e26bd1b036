"""The recorded network that the book's own demo runs, exported from its kept weights."""

import hashlib

import numpy as np
import numpy.typing as npt

from cifar_lessons import building, recipes, runs, runtime
from cifar_lessons.config import Recipe
from cifar_lessons.data.cifar import Cifar
from cifar_lessons.data.drawings import KINDS, draw
from cifar_lessons.data.official import official
from cifar_lessons.deploy.demo import IN_BOOK, section
from cifar_lessons.deploy.demo_samples import samples
from cifar_lessons.deploy.export import export
from cifar_lessons.deploy.model_file import About, ModelFile
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.outsiders import familiarity
from cifar_lessons.fields import from_dict
from cifar_lessons.interactive.page import Page
from cifar_lessons.tables import Markdown

# Small (0.7 million parameters), and good enough to be believed. Any recipe that keeps the weights
# of seed 0 may stand here.
RECIPE = "resnet18_w16"


def run() -> runs.Run | None:
    """Return the run, or None where it is not recorded, stale, or keeps no weights."""
    try:
        found = runs.load_run(recipes.get(RECIPE), seed=0)
    except (runs.MissingRun, runs.StaleRun):
        return None
    return found if (found.folder / "weights.safetensors").exists() else None


def missing() -> str:
    """Return what to type where there is no run."""
    recipe = recipes.get(RECIPE)
    return (
        f"{RECIPE} seed 0 is not recorded, so there is no network to try: run "
        f"`{runs.train_command(recipe, 0)}`, then `{runs.record_command(recipe, 0)}`"
    )


def required() -> runs.Run:
    """Return the run.

    Raises:
        UserError: There is none; the message says what to type.
    """
    found = run()
    if found is None:
        raise UserError(missing())
    return found


def about(found: runs.Run) -> About:
    """Return what its export says about itself."""
    weights = (found.folder / "weights.safetensors").read_bytes()
    return About(
        name=f"{found.name} {found.key}",
        classes=tuple(official(from_dict(Recipe, found.recipe).data.dataset).classes),
        weights=hashlib.sha256(weights).hexdigest(),
        precision="fp32",
        test_accuracy=found.final["test_accuracy"],
    )


def exported(found: runs.Run) -> ModelFile:
    """Return the run's network as an ONNX model; takes some ten seconds.

    It must give the network's own answers on drawings, which are at hand without the data set.

    Raises:
        UserError: See `deploy.export.export`.
    """
    network = building.load_model(found, runtime.detect(device="cpu", precision="fp32"))
    drawn = np.concatenate([draw(kind, 20) for kind in KINDS]).transpose(0, 2, 3, 1)
    recipe = from_dict(Recipe, found.recipe)
    images = np.ascontiguousarray(drawn)
    return export(network, recipe.data, about=about(found), images=images)[0]


def percentiles(found: runs.Run) -> npt.NDArray[np.float64]:
    """Return percentiles 0, 1, … 100 of the familiarity of the test images, (101,)."""
    return np.percentile(familiarity(found.logits("test").logits), np.arange(101))


def page(data: Cifar) -> Page | Markdown:
    """Return the demo for the book, whose build exports the network (book/_ext/browser_demo.py).

    Args:
        data: Its test images are offered as samples.
    """
    found = run()
    if found is None:
        return Markdown(f"*{missing()}.*")
    offered = samples(data)
    return section(about(found), IN_BOOK, samples=offered, familiarity=percentiles(found).tolist())
