"""What a network of the space costs: multiplications of one image, and the width that matches.

Networks are compared at equal cost, since a 5x5 convolution multiplies 25 times for each time
that a 1x1 does: without that, "5x5 is better" may only say "more work is better". Counted are
convolutions and the last linear layer; additions, normalisation and pools are not.
"""

from cifar_lessons.enas.space import Architecture, halved_after, plain

SIDE = 16  # pixels after the stem, which halves the 32 of an image
WIDEST = 512

# Multiplications a pixel, as (times width, times width squared); the 1x1 before it comes on top.
PER_PIXEL = {"c3": (0, 9), "s3": (9, 1), "c5": (0, 25), "s5": (25, 1), "ap": (0, 0), "mp": (0, 0)}


def multiplications(architecture: Architecture, width: int, *, num_classes: int = 10) -> int:
    """Return the multiplications of one 32x32 image in `models.enas`.

    Args:
        architecture: Of the network.
        width: Channels of the stem; they double where the maps are halved.
        num_classes: Of the last layer.
    """
    total, channels, side = 27 * width * SIDE**2, width, SIDE
    for number, operation in enumerate(architecture.operations, start=1):
        once, squared = PER_PIXEL[operation]
        total += (once * channels + (1 + squared) * channels**2) * side**2
        if number in halved_after(len(architecture)):
            side //= 2
            total += len(architecture.needed[number]) * 2 * channels**2 * side**2
            channels *= 2
    return total + channels * num_classes


def matched_width(architecture: Architecture, target: int) -> int:
    """Return the width at which a network is nearest to `target` multiplications."""
    return min(range(1, WIDEST + 1), key=lambda w: abs(multiplications(architecture, w) - target))


def reference(width: int, layers: int = 6) -> int:
    """Return the multiplications of the network of 3x3 convolutions alone, at that width."""
    return multiplications(plain(["c3"] * layers), width)
