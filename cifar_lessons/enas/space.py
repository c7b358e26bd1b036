"""The macro search space of ENAS: which networks there are, and how one is written down.

Source: Pham, Guan, Zoph, Le & Dean (2018), arXiv:1802.03268, section 2.3, and its code,
github.com/melodyguan/enas, `src/cifar10/general_child.py`. A network is a chain of N layers. Each
layer chooses one of six operations, and for each earlier input but the one right before it
whether to add it as well (a skip). So there are 6**N * 2**(N * (N - 1) / 2) networks: 1.5 billion
for the six layers here, 1.6e29 for the twelve of the source.

The inputs are numbered: 0 is the stem, k is what layer k gives. `c3/s5+0/mp/c5+0+2/s3/ap` reads:
layer 1 is a 3x3 convolution, layer 2 a separable 5x5 whose result gets the stem added, and so on.
This module imports no torch.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

# In the order of the source; each begins with a 1x1 convolution.
OPERATIONS = {
    "c3": "3x3 convolution",
    "s3": "separable 3x3",
    "c5": "5x5 convolution",
    "s5": "separable 5x5",
    "ap": "average pool",
    "mp": "max pool",
}
LAYERS = 6
FEWEST = 3  # layers, so that the maps can be halved twice


@dataclass(frozen=True)
class Layer:
    """One layer: a key of `OPERATIONS`, and which inputs are added to its result, in order."""

    operation: str
    skips: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return it as it is typed, such as `s5+0`."""
        return self.operation + "".join(f"+{skip}" for skip in self.skips)


@dataclass(frozen=True)
class Architecture:
    """A network of the space; `str` gives the form that `parse` reads.

    Raises:
        ValueError: An unknown operation, or a skip that a layer cannot have.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        """Check every layer."""
        for number, layer in enumerate(self.layers, start=1):
            where = f"layer {number} of {str(self)!r}"
            if layer.operation not in OPERATIONS:
                raise ValueError(
                    f"{where}: unknown operation {layer.operation!r}; try one of "
                    f"{', '.join(OPERATIONS)}"
                )
            if list(layer.skips) != sorted(set(layer.skips)):
                raise ValueError(
                    f"{where}: skips must rise, each once, got {layer}; try "
                    f"{Layer(layer.operation, tuple(sorted(set(layer.skips))))}"
                )
            for skip in layer.skips:
                if not 0 <= skip <= number - 2:
                    allowed = f"0 to {number - 2}" if number > 1 else "none"
                    raise ValueError(
                        f"{where}: no skip from {skip}; it may add {allowed} (the input right "
                        f"before it comes anyway), as in {plain([layer.operation] * number)}"
                    )

    def __len__(self) -> int:
        """Return N, the number of layers."""
        return len(self.layers)

    def __str__(self) -> str:
        """Return it as it is typed."""
        return "/".join(map(str, self.layers))

    @property
    def operations(self) -> tuple[str, ...]:
        """Return the operation of each layer."""
        return tuple(layer.operation for layer in self.layers)

    @property
    def skip_share(self) -> float:
        """Return which share of the possible skips it has, in [0, 1]."""
        possible = len(self) * (len(self) - 1) / 2
        return sum(len(layer.skips) for layer in self.layers) / possible if possible else 0.0

    @cached_property
    def needed(self) -> dict[int, tuple[int, ...]]:
        """Return which inputs must be halved after each of the layers in `halved_after`."""
        wanted = {}
        for last in halved_after(len(self)):
            later = {skip for layer in self.layers[last:] for skip in layer.skips}
            wanted[last] = tuple(j for j in range(last + 1) if j == last or j in later)
        return wanted


def halved_after(layers: int) -> tuple[int, int]:
    """Return after which two layers, counted from 1, all maps are halved: N/3 and 2N/3."""
    return layers // 3, 2 * (layers // 3)


def parse(text: str, *, layers: int | None = None) -> Architecture:
    """Return the architecture that `text` writes.

    Args:
        text: Such as `c3/s5+0/mp`.
        layers: How many it must have; any number from 3 on if not given.

    Raises:
        ValueError: It does not parse; the message says where, and what would.
    """
    if text.startswith("search:"):
        name = text.removeprefix("search:")
        raise ValueError(
            f"the architecture is not found yet: `cifar-lessons search {name}` first, then "
            f"`cifar-lessons record {name}`"
        )
    found = []
    for number, part in enumerate(text.split("/"), start=1):
        operation, *skips = part.split("+")
        if not all(skip.isascii() and skip.isdigit() and len(skip) < 4 for skip in skips):
            raise ValueError(
                f"layer {number} of {text!r}: cannot read {part!r}; write an operation and the "
                "numbers of the inputs that are added, as in s5+0+2"
            )
        found.append(Layer(operation, tuple(map(int, skips))))
    architecture = Architecture(tuple(found))
    wanted = layers or max(len(found), FEWEST)
    if len(found) != wanted:
        few = layers is None
        raise ValueError(
            f"{text!r} has {len(found)} layers, needed {'at least ' * few}{wanted}; try "
            f"{plain(['c3'] * wanted)}"
        )
    return architecture


def plain(operations: Sequence[str]) -> Architecture:
    """Return a chain of operations in which each layer adds the input before its own.

    These are the shortcuts of a residual network: 5 of the 15 possible skips of six layers.
    """
    return Architecture(
        tuple(Layer(op, (k - 2,) if k > 1 else ()) for k, op in enumerate(operations, start=1))
    )


def uniform(rng: np.random.Generator, *, layers: int = LAYERS) -> Architecture:
    """Return a network drawn with equal probability from all of the space."""
    names = list(OPERATIONS)
    return Architecture(
        tuple(
            Layer(names[rng.integers(6)], tuple(j for j in range(k - 1) if rng.random() < 0.5))
            for k in range(1, layers + 1)
        )
    )


def count_operations(architectures: Sequence[Architecture]) -> dict[str, int]:
    """Return how often each operation occurs in all of them together."""
    counts = Counter(op for a in architectures for op in a.operations)
    return {op: counts[op] for op in OPERATIONS}


def made_of(architectures: Sequence[Architecture]) -> str:
    """Return the operations of some networks as text, the most frequent first."""
    counts = sorted(count_operations(architectures).items(), key=lambda item: -item[1])
    return ", ".join(f"{n} × {OPERATIONS[op]}" for op, n in counts if n)


def size(layers: int = LAYERS) -> int:
    """Return how many networks there are."""
    return int(len(OPERATIONS) ** layers * 2 ** (layers * (layers - 1) // 2))
