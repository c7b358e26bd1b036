"""Who answers `cifar-lessons predict`: shipped weights, a run, or an exported file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cifar_lessons import building, pretrained, runs, runtime
from cifar_lessons.config import Recipe
from cifar_lessons.data.loader import normalise
from cifar_lessons.data.official import official
from cifar_lessons.deploy.command import require_packages
from cifar_lessons.fields import from_dict
from cifar_lessons.runs import MissingRun, Run


@dataclass(frozen=True)
class Answering:
    """A classifier that says who it is.

    Attributes:
        title: One line: which weights answer, and how good they are known to be.
        classes: Names, in the order of the probabilities.
        probabilities: Maps pictures (B, 3, 32, 32) uint8 to (B, K), each row summing to 1.
    """

    title: str
    classes: tuple[str, ...]
    probabilities: Callable[[Tensor], npt.NDArray[np.float32]]


def answering(text: str | None, *, device: str = "auto") -> Answering:
    """Return who answers.

    Args:
        text: An exported file (`….onnx`), the folder of a run, RECIPE or RECIPE/seedK among the
            recorded runs, or the name of shipped weights. None takes the best shipped ones.
        device: See `runtime.detect`; an exported file runs on the CPU.

    Raises:
        UserError: Nobody of that name, or weights that cannot be used.
    """
    if text is None:
        return _network(pretrained.best(), "shipped weights", device)
    if text.lower().endswith(".onnx"):
        return _exported(Path(text))
    try:
        return _network(runs.find_run(text), "", device)
    except MissingRun:
        if text not in pretrained.names():
            raise
    return _network(pretrained.card(text), "shipped weights", device)


def scored(run: Run) -> str:
    """Return how good a run is known to be, such as `test accuracy 87.35 %`."""
    for split, called in (("test", "test"), ("val", "validation")):
        if f"{split}_accuracy" in run.final:
            return f"{called} accuracy {100 * run.final[f'{split}_accuracy']:.2f} %"
    return "accuracy not known"


def _network(run: Run, kind: str, device: str) -> Answering:
    here = runtime.detect(device=device, precision="fp32")
    model, data = building.load_model(run, here), from_dict(Recipe, run.recipe).data

    @torch.inference_mode()
    def probabilities(pictures: Tensor) -> npt.NDArray[np.float32]:
        logits = model(normalise(pictures.to(here.device), data))
        return np.asarray(logits.softmax(1).cpu().numpy())

    title = ", ".join(part for part in (f"{run.name} {run.key}", kind, scored(run)) if part)
    return Answering(title, run.classes or official(data.dataset).classes, probabilities)


def _exported(path: Path) -> Answering:
    require_packages("an exported file")
    from cifar_lessons.deploy.backends import OnnxRuntime
    from cifar_lessons.deploy.model_file import read_model
    from cifar_lessons.deploy.pixels import as_pixels

    model = read_model(path)
    engine, about = OnnxRuntime(model), model.about
    title = f"{about.name} in {path}, {about.precision}, {about.scored}"
    return Answering(title, about.classes, lambda pictures: engine.both(as_pixels(pictures))[1])
