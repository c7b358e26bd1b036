"""The networks, by name: `build_model("resnet18", width=16)`.

A new network is a builder with keyword arguments and defaults, and a line in `MODELS`.
"""

import inspect
from collections.abc import Callable
from typing import Any

from cifar_lessons.errors import UserError, suggest
from cifar_lessons.models.base import Classifier
from cifar_lessons.models.enas import enas
from cifar_lessons.models.mobilenet import mobilenet_v2
from cifar_lessons.models.resnet import resnet18, resnet34, resnet50
from cifar_lessons.models.simple_cnn import deep_cnn, simple_cnn
from cifar_lessons.models.speednet import speednet

__all__ = ["MODELS", "Classifier", "build_model", "list_models"]

MODELS: dict[str, Callable[..., Classifier]] = {
    "simple_cnn": simple_cnn,
    "deep_cnn": deep_cnn,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "speednet": speednet,
    "enas": enas,
}


def list_models() -> list[str]:
    """Return the names that `build_model` knows, from the smallest idea to the largest."""
    return list(MODELS)


def build_model(name: str, *, num_classes: int = 10, **options: Any) -> Classifier:
    """Return a new network with random weights from PyTorch's global stream.

    Args:
        name: One of `list_models()`.
        num_classes: K >= 2.
        options: Keyword arguments of the network's builder, such as `width`. Values may come
            from JSON: a list is fine where a tuple is meant.

    Raises:
        UserError: An unknown name or option, or a value of a wrong type or out of range.
    """
    if name not in MODELS:
        raise UserError(f"unknown model {name!r}: {suggest(name, MODELS)}")
    parameters = inspect.signature(MODELS[name]).parameters
    known = {key: p.default for key, p in parameters.items() if key != "num_classes"}
    for key, value in options.items():
        if key not in known:
            raise UserError(f"unknown option {key!r} of model {name!r}: {_known(known)}")
        if not _fits(value, known[key]):
            raise UserError(
                f"option {key!r} of model {name!r} must be like its default {known[key]!r}, "
                f"got {value!r}"
            )
    try:
        return MODELS[name](num_classes=num_classes, **options)
    except (ValueError, OverflowError) as error:
        raise UserError(f"model {name!r}: {error}") from None


def _known(options: dict[str, Any]) -> str:
    """Return the options with their defaults, as a person would type them."""
    spelled = ", ".join(f"{key}={default!r}" for key, default in options.items())
    return f"known: {spelled}" if spelled else "it has no options"


def _fits(value: Any, default: Any) -> bool:
    """Say whether `value` has the type of `default`; 'false' for False would else be true."""
    if isinstance(default, tuple):
        return isinstance(value, (list, tuple)) and all(_fits(v, default[0]) for v in value)
    if isinstance(default, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is type(default)
