"""The training metrics of an epoch: sums over the images seen, on one rank or on many."""

from typing import Any

from torch import Tensor

from cifar_lessons.distributed import Group


class Tally:
    """Sums of metrics over the images that this rank has seen in an epoch."""

    def __init__(self) -> None:
        """Nothing is seen yet."""
        self.sums: dict[str, Tensor | float] = {}  # tensors, so that no step waits for one
        self.images = 0

    def add(self, metrics: dict[str, Tensor], images: int) -> None:
        """Add the metrics of a step, each a mean over so many images."""
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.float() * images
        self.images += images

    def means(self, group: Group) -> dict[str, float]:
        """Return the means over all images that all ranks have seen: exact, whatever each saw.

        A mean of the ranks' means would weigh an image by the size of its rank's part.
        """
        sums = [float(value) for value in self.sums.values()]
        *totals, images = group.total([*sums, self.images])
        return {name: total / images for name, total in zip(self.sums, totals, strict=True)}

    def state(self, group: Group) -> dict[str, Any]:
        """Return what a checkpoint keeps, every rank's part of it."""
        self.sums = {name: float(value) for name, value in self.sums.items()}
        others = group.gather((self.sums, self.images))[1:]
        return {"sums": self.sums, "images_seen": self.images, "others": others}

    def load(self, state: dict[str, Any], group: Group) -> None:
        """Take this rank's part back, so that a sum goes on exactly where it stood.

        Among another number of ranks, rank 0 takes the whole.
        """
        parts = [(state["sums"], state["images_seen"]), *state.get("others", [])]
        if len(parts) == group.size:
            self.sums, self.images = parts[group.rank]
        elif group.leader:
            self.sums = {name: sum(sums[name] for sums, _ in parts) for name in state["sums"]}
            self.images = sum(images for _, images in parts)
        else:
            self.sums, self.images = dict.fromkeys(state["sums"], 0.0), 0
