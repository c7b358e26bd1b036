"""Few labels: a share of each class, drawn anew by every seed.

All the other images are then left out. That is how the value of labels is measured: with the same
split and the same seed, a smaller share is a part of a larger one.
"""

import numpy as np
import torch

from cifar_lessons.data.cifar import Split
from cifar_lessons.errors import UserError
from cifar_lessons.runtime import stream_seed


def keep_share(split: Split, *, share: float, classes: int, seed: int) -> Split:
    """Return a share of the images of each class, in the order of the split.

    Args:
        split: Images with their labels.
        share: In (0, 1]; of each class, rounded to whole images. 1 keeps all.
        classes: K, of which each must be there.
        seed: Decides which images.

    Raises:
        UserError: A class has no image, or the share leaves it none.
    """
    if share == 1:
        return split
    labels = split.labels.cpu().numpy()
    counts = np.bincount(labels, minlength=classes)
    if (counts == 0).any():
        raise UserError(
            f"class {int(counts.argmin())} has no image among {len(labels):,}, so no share of its "
            "labels can be drawn; use images of every class, or --set data.label_share=1"
        )
    fewest = int(counts.min())
    if round(share * fewest) < 1:
        raise UserError(
            f"data.label_share {share:g} leaves no image of a class with {fewest}; try "
            f"data.label_share={max(0.001, float(f'{1 / fewest:.1g}')):g}"
        )
    rng = np.random.default_rng(stream_seed(seed, "label_share"))
    chosen = []
    for k, count in enumerate(counts):
        # One order a class, whatever the share: more labels are these and others.
        of_class = rng.permutation(np.flatnonzero(labels == k))
        chosen.append(of_class[: round(share * int(count))])
    return split[torch.from_numpy(np.sort(np.concatenate(chosen)))]
