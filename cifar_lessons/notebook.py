"""The first cell of every notebook: which data, device and profile there are.

The quick profile (a laptop, the book's build, the tests) cuts live cells down to seconds; the
full profile trains for real. CIFAR_LESSONS_PROFILE chooses; without it, a GPU means full.
"""

import os
import platform
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any, Literal, get_args

from torch import nn

from cifar_lessons import plots, runtime
from cifar_lessons.building import Start
from cifar_lessons.config import Recipe
from cifar_lessons.data.cifar import Cifar, load_or_synthetic
from cifar_lessons.errors import UserError
from cifar_lessons.experiment import train
from cifar_lessons.tables import Table
from cifar_lessons.training.fit import FitResult
from cifar_lessons.training.teacher import Teacher

Profile = Literal["quick", "full"]
SHOWN_PACKAGES = (
    *(
        "cifar-lessons",
        "torch",
        "torchvision",
        "numpy",
        "scikit-learn",
        "matplotlib",
        "seaborn",
        "ipywidgets",
    ),
    *("optuna", "onnxruntime", "jupyter-book", "myst-nb", "nbclient"),
)
QUICK_IMAGES = 2_048  # a few seconds for a small network on two CPU cores
QUICK_EPOCHS = 2


@dataclass(frozen=True)
class Session:
    """What a notebook works with."""

    data: Cifar
    runtime: runtime.Runtime
    profile: Profile

    def train(
        self,
        recipe: Recipe,
        *,
        seed: int = 0,
        teacher: Teacher | None = None,
        start: Start | None = None,
        **changes: Any,
    ) -> FitResult:
        """Train live: all of it in the full profile, a labelled taste in the quick one.

        Args:
            recipe: What to train.
            seed: Of everything random.
            teacher: Of a distillation; from `teacher`.
            start: First weights of a recipe that has `init`.
            changes: Fields of the recipe to replace, such as `epochs=1`.
        """
        recipe, data = replace(recipe, **changes), self._live()
        if self.profile == "quick":
            recipe = replace(recipe, epochs=min(recipe.epochs, QUICK_EPOCHS))
            print(
                f"A quick taste, not a result: {len(data.train):,} images, {recipe.epochs} "
                f"epochs, {self.runtime.device}, {self.runtime.precision}."
            )
        return train(recipe, data, seed=seed, runtime=self.runtime, teacher=teacher, start=start)

    def teacher(self, network: nn.Module, recipe: Recipe, *, seed: int = 0) -> Teacher:
        """Return a network's answers to the views of live students, kept in memory.

        Nothing is asked before the first student trains; the next one finds the answers.

        Args:
            network: Trained, on the device, on pixels normalised as the recipe says.
            recipe: Of a student. Others with the same augmentation may share the teacher.
            seed: Of the students' runs, where their augmentation has none of its own.
        """
        return Teacher(
            network,
            self._live().train,
            recipe.data,
            name="the live teacher",
            weights="live",  # the answers outlive no notebook, so no digest has to tell them apart
            seed=seed,
            runtime=runtime.in_precision(self.runtime, recipe.precision),
        )

    def _live(self) -> Cifar:
        """Return the images that live cells train on."""
        if self.profile == "full":
            return self.data
        train_part, val_part = slice(0, QUICK_IMAGES), slice(0, 500)
        return replace(self.data, train=self.data.train[train_part], val=self.data.val[val_part])


def profile() -> Profile:
    """Return `quick` or `full`, from CIFAR_LESSONS_PROFILE or the machine."""
    chosen = os.environ.get("CIFAR_LESSONS_PROFILE")
    if not chosen:
        return "quick" if runtime.detect().device.type == "cpu" else "full"
    if chosen not in get_args(Profile):
        raise UserError(f"CIFAR_LESSONS_PROFILE must be quick or full, got {chosen!r}; try quick")
    return chosen  # type: ignore[return-value]


def start(dataset: str = "cifar10") -> Session:
    """Load the data, find the device, set the style of figures, and say what was found."""
    plots.use_book_style()
    found = runtime.detect()
    session = Session(load_or_synthetic(dataset), found, profile())
    kind = "synthetic twin" if session.data.synthetic else f"real {dataset}"
    name = runtime.device_name(found.device)
    print(
        f"data: {kind}, {len(session.data.train):,} training images · device: {name} "
        f"({found.device}, {found.precision}) · profile: {session.profile}"
    )
    return session


def built_with(session: Session) -> Table:
    """Return what the pages were made with: machine, data, profile and versions of packages."""
    found = session.runtime
    data = "the synthetic twin" if session.data.synthetic else f"the real {session.data.name}"
    rows = [
        ("data", data),
        ("profile", session.profile),
        ("device", f"{runtime.device_name(found.device)} ({found.device}, {found.precision})"),
        ("CPU cores", str(runtime.num_cores())),
        ("system", platform.platform(terse=True)),
        ("Python", platform.python_version()),
    ]
    installed = {d.name: d.version for d in metadata.distributions()}
    rows += [(name, installed.get(name, "not installed")) for name in SHOWN_PACKAGES]
    return Table(("What", "Here"), rows, caption="What these pages were built with")
