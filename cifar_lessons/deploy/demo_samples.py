"""What the book's demo offers to try: test images, and drawings that are none of the classes."""

import io

import numpy as np
import numpy.typing as npt

from cifar_lessons.data.cifar import Cifar
from cifar_lessons.data.drawings import KINDS, draw
from cifar_lessons.deploy.demo import Samples

OUTSIDERS = ("house", "face", "flower", "letters", "chart", "noise")


def samples(data: Cifar) -> list[Samples]:
    """Return the first test image of each class, and a drawing of each of some kinds.

    No image is stored anywhere for it: they are cut from the reader's own copy of the data. On the
    synthetic twin the heading says that they are made up.

    Args:
        data: As a notebook has it.
    """
    labels = data.test.labels.numpy()
    firsts = [int(np.flatnonzero(labels == k)[0]) for k in range(len(data.classes))]
    images = data.test.images.cpu().numpy()
    kind = "pattern" if data.synthetic else "test image"
    insiders = [
        (f"{data.classes[labels[k]]}, {kind} {k}", png(images[k].transpose(1, 2, 0)))
        for k in firsts
    ]
    heading = (
        "CIFAR-10 is not here, so these are patterns made up in its place (answers to them mean "
        "nothing)"
        if data.synthetic
        else "Test images, the first of each class"
    )
    outsiders = [
        (f"drawn {kind}, none of the classes", png(draw(kind, 1)[0].transpose(1, 2, 0)))
        for kind in OUTSIDERS
        if kind in KINDS
    ]
    return [Samples(heading, insiders), Samples("Drawings: none of the classes", outsiders)]


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return (H, W, 3) as a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
