"""From a trained network to an ONNX file, which is written only if it gives the same answers."""

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from cifar_lessons.config import DataConfig
from cifar_lessons.deploy.backends import Eager, OnnxRuntime
from cifar_lessons.deploy.model_file import About, ModelFile, check_model, sign
from cifar_lessons.deploy.pixels import SIDE, Logits, PixelClassifier, Pixels
from cifar_lessons.errors import UserError

if TYPE_CHECKING:
    import onnx

TOLERANCE = 1e-3  # of a logit; float32 sums in another order differ by some 1e-5
OPSET = 20


@dataclass(frozen=True)
class Parity:
    """How two engines compare on the same images.

    Attributes:
        images: How many.
        largest: Largest difference of a logit.
        same: Images with the same likeliest class.
    """

    images: int
    largest: float
    same: int

    def __str__(self) -> str:
        """Say it in a line."""
        return (
            f"{self.same:,} of {self.images:,} images with the same answer, logits differ by "
            f"{self.largest:.1e} at most"
        )


def compare(first: Logits, second: Logits) -> Parity:
    """Return how the logits of two engines compare, image by image, (N, K) each."""
    same = int((first.argmax(1) == second.argmax(1)).sum())
    return Parity(len(first), float(np.abs(first - second).max()), same)


def export(
    network: nn.Module,
    data: DataConfig,
    *,
    about: About,
    images: Pixels,
    tolerance: float = TOLERANCE,
) -> tuple[ModelFile, Parity]:
    """Return the ONNX model of a network, and how it compares with the network itself.

    The batch is free; batch norm is folded into the convolutions. Input `pixels` (B, 32, 32, 3)
    uint8; outputs `logits` and `probabilities`, (B, K) float32.

    Args:
        network: A trained classifier, on the CPU.
        data: The mean and std of its training.
        about: What the file says about itself.
        images: Real images, (N, 32, 32, 3), on which both must agree.
        tolerance: Largest difference of a logit that is let through.

    Raises:
        UserError: It cannot be exported, or the exported model gives other answers.
    """
    content = sign(_graph(PixelClassifier(network, data).eval(), about.name), about)
    made = check_model(content, about.name)
    parity = compare(Eager(network, data)(images), OnnxRuntime(made)(images))
    if not parity.largest <= tolerance:  # NaN is refused too
        raise UserError(
            f"the exported {about.name} gives other answers ({parity}; {tolerance:g} is allowed): "
            "nothing was written"
        )
    return made, parity


def _graph(model: nn.Module, name: str) -> "onnx.ModelProto":
    """Return the graph of a model that takes pixels."""
    # Two images: a batch of one would be taken for a constant.
    example = torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # of the exporter's own parts, and nothing of ours
            program = torch.onnx.export(
                model,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=["pixels"],
                output_names=["logits", "probabilities"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises many kinds, some of them its own
        reason = str(error).strip().partition("\n")[0][:200]
        raise UserError(
            f"{name} cannot be exported ({type(error).__name__}: {reason}); its forward pass must "
            "be plain tensor operations"
        ) from None
    assert program is not None
    return program.model_proto
