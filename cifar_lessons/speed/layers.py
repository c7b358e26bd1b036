"""The layers of a network with their work: operations, bytes, and operations a byte.

*Arithmetic intensity* is operations divided by the bytes that must move if every tensor is read
or written once in each pass. It says which layers the arithmetic can keep busy, and which wait
for memory. Real traffic is higher, so a layer's true intensity is at most this.

Operations of a training step are 3 times those of the forward pass: the gradient of the input and
of the weights cost as much each. `FlopCounterMode` counts depthwise backward passes as dense.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from cifar_lessons.config import ModelConfig
from cifar_lessons.models import build_model

BN_OPERATIONS = 5  # a number forward: into the mean 1, the variance 2, scale and shift 2; roughly
NUMBER_BYTES = {"fp32": 4, "bf16": 2}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer at work on single images; `count` layers of the network are alike."""

    kind: str  # "dense", "pointwise", "depthwise", "linear" or "batch norm"
    module: nn.Module
    input: tuple[int, ...]  # shape without the batch: (C, H, W), or (D,)
    output: tuple[int, ...]
    first: bool = False  # of the network: images need no gradient
    count: int = 1

    @property
    def name(self) -> str:
        """Return it in words, such as `3x3 64→128, 32x32 /2`."""
        size = f", {self.input[1]}x{self.input[2]}" if len(self.input) == 3 else ""
        if isinstance(self.module, nn.Conv2d):
            side, stride = self.module.kernel_size[0], self.module.stride[0]
            step = f" /{stride}" if stride > 1 else ""
            between = f"{self.input[0]}→{self.output[0]}"
            return f"{side}x{side} {between}{size}{step}"
        if isinstance(self.module, nn.Linear):
            return f"{self.input[0]}→{self.output[0]}"
        return f"{self.input[0]} channels{size}"

    @property
    def multiplications(self) -> int:
        """Return multiplications of one image's forward pass; batch norm's few are left out."""
        if self.kind == "batch norm":
            return 0
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight[0].numel() * _product(self.output)

    def operations(self, batch_size: int) -> int:
        """Return floating-point operations of a training step, a multiply-add being two."""
        numbers = batch_size * _product(self.output)
        if self.kind == "batch norm":
            return 3 * BN_OPERATIONS * numbers
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        each = 2 * weight[0].numel()  # of one output: inputs / groups x kernel
        return (2 if self.first else 3) * each * numbers

    def traffic(self, batch_size: int, precision: str) -> int:
        """Return bytes of a training step if each pass reads and writes every tensor once.

        A convolution has three passes over input, weights and output: forward, and a gradient of
        the input and of the weights. Batch norm reads and writes 2 tensors forward, and 3 backward.
        """
        size = NUMBER_BYTES[precision]
        into, out = (batch_size * _product(shape) for shape in (self.input, self.output))
        if self.kind == "batch norm":
            return size * (2 * into + 3 * out)
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return (2 if self.first else 3) * size * (into + weight.numel() + out)


def _product(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


def kind_of(module: nn.Module) -> str | None:
    """Return what kind of layer a module is, None for one that does next to nothing."""
    if isinstance(module, nn.Conv2d):
        if module.groups > 1:
            return "depthwise"
        return "pointwise" if module.kernel_size == (1, 1) else "dense"
    return {nn.Linear: "linear", nn.BatchNorm2d: "batch norm"}.get(type(module))


def layers(model: ModelConfig) -> list[Layer]:
    """Return the distinct layers of a network for 32x32 images, in the order of their first use."""
    network = build_model(model.name, **model.options).eval()
    found: dict[tuple[object, ...], Layer] = {}
    hooks = [
        module.register_forward_hook(lambda m, args, out: seen(m, args[0], out))
        for module in network.modules()
        if kind_of(module)
    ]

    def seen(module: nn.Module, into: Tensor, out: Tensor) -> None:
        kind = kind_of(module)
        assert kind is not None
        stride = getattr(module, "stride", None)
        key = (kind, into.shape[1:], out.shape[1:], getattr(module, "kernel_size", None), stride)
        if key in found:
            found[key] = replace(found[key], count=found[key].count + 1)
            return
        found[key] = Layer(
            kind=kind,
            module=module,
            input=tuple(into.shape[1:]),
            output=tuple(out.shape[1:]),
            first=not found,
        )

    with torch.inference_mode():
        network(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    return list(found.values())


def multiplications(model: ModelConfig) -> int:
    """Return how often a network multiplies to classify one 32x32 image, in its weighted layers."""
    return sum(layer.count * layer.multiplications for layer in layers(model))
