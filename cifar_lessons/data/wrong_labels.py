"""Wrong labels, planted on purpose: what a search for label errors can be measured against."""

import numpy as np
import numpy.typing as npt

from cifar_lessons.runtime import stream_seed

Labels = npt.NDArray[np.int64]


def plant(labels: Labels, *, share: float, classes: int, seed: int) -> Labels:
    """Return labels of which a share was changed to another class, each as likely as the next.

    Real mistakes are not like that: they mix up classes that look alike, and are harder to find.

    Args:
        labels: Class of each image, shape (N,).
        share: Of the images, in [0, 1); rounded to whole images.
        classes: K >= 2.
        seed: Decides which images, and what they become.
    """
    rng = np.random.default_rng(stream_seed(seed, "wrong_labels"))
    chosen = rng.permutation(len(labels))[: round(share * len(labels))]
    planted = labels.copy()
    planted[chosen] = (labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return planted
