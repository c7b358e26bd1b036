"""Right or wrong, image by image: kept on disk while a long study runs, and summed up at its end.

An array of answers has the shape (looks, severities, images): whether the network was right with
one look (`plain`) and with the image and its mirror image together (`flip`).
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cifar_lessons.atomic import write_atomically
from cifar_lessons.errors import UserError

LOOKS = ("plain", "flip")

Answers = npt.NDArray[np.bool_]  # (looks, severities, images)
ByCorruption = Mapping[str, Answers]  # "clean" among them, with one severity


class Store:
    """Answers by key in one file, which is rewritten after each addition."""

    def __init__(self, path: Path) -> None:
        """Read what an earlier run left there.

        Raises:
            UserError: The file is none of ours.
        """
        self.path = path
        self._entries: dict[str, Any] = {}
        if path.exists():
            try:
                self._entries = json.loads(path.read_text())
                [self[key] for key in self._entries]
            except (ValueError, LookupError, TypeError, AttributeError):
                raise UserError(
                    f"{path} is damaged: delete it, and the study begins anew"
                ) from None

    def __contains__(self, key: str) -> bool:
        """Return whether answers are kept under this key."""
        return key in self._entries

    def __getitem__(self, key: str) -> Answers:
        """Return the answers that were added under this key."""
        entry = self._entries[key]
        shape = tuple(entry["shape"])
        packed = np.frombuffer(base64.b64decode(entry["bits"]), np.uint8)
        return np.unpackbits(packed, count=int(np.prod(shape))).astype(bool).reshape(shape)

    def seconds(self, key: str) -> float:
        """Return how long the answers under this key took."""
        return float(self._entries[key]["seconds"])

    def add(self, key: str, answers: Answers, *, seconds: float) -> None:
        """Keep answers, and write the file."""
        bits = base64.b64encode(np.packbits(answers).tobytes()).decode()
        self._entries[key] = {"shape": answers.shape, "bits": bits, "seconds": round(seconds, 2)}
        write_atomically(self.path, json.dumps(self._entries).encode())


def summed_up(results: Mapping[str, ByCorruption], pairs: tuple[tuple[str, str], ...]) -> Any:
    """Return counts for each corruption and severity, and means with their errors.

    Args:
        results: Answers by network and corruption. The images of a network with fewer are the
            first ones of every other.
        pairs: Networks to compare on the images that both have seen.

    Returns:
        `networks`: for each its number of `images`, the `clean` and spoiled counts of right
        answers, and for `plain` and `flip` the mean accuracy over all corruptions; then what is
        `lost` against clean images and what the second look has `gained`, there and on clean ones.
        `pairs`: for each the second minus the first. A mean comes with the variance that test
        images give it: an image counts once, however many corruptions it went through.
    """
    means = {name: _means(found) for name, found in results.items()}
    return {
        "networks": {
            name: {
                "images": found["clean"].shape[-1],
                "clean": {look: int(found["clean"][k].sum()) for k, look in enumerate(LOOKS)},
                "corruptions": {
                    corruption: _counts(answers)
                    for corruption, answers in found.items()
                    if corruption != "clean"
                },
                **{what: _mean(values) for what, values in means[name].items()},
            }
            for name, found in results.items()
        },
        "pairs": [
            {
                "first": a,
                "second": b,
                "images": min(len(means[a]["plain"]), len(means[b]["plain"])),
                **{
                    what: _mean(_difference(means[a][what], means[b][what]))
                    for what in ("clean_plain", "plain", "lost")
                },
            }
            for a, b in pairs
            if a in means and b in means
        ],
    }


def _counts(answers: Answers) -> dict[str, list[int]]:
    """Return right answers by severity, and how often one look alone was right."""
    plain, flip = answers
    counted = {
        "plain": plain,
        "flip": flip,
        "only_plain": plain & ~flip,
        "only_flip": flip & ~plain,
    }
    return {what: bits.sum(axis=1).tolist() for what, bits in counted.items()}


def _means(found: ByCorruption) -> dict[str, npt.NDArray[np.float64]]:
    """Return a number an image: its mean over all corruptions and severities, and differences."""
    spoiled = np.mean([a.mean(axis=1) for c, a in found.items() if c != "clean"], axis=0)
    clean = found["clean"][:, 0].astype(np.float64)  # (looks, images)
    return {
        "clean_plain": clean[0],
        "plain": spoiled[0],
        "flip": spoiled[1],
        "lost": clean[0] - spoiled[0],
        "gained": spoiled[1] - spoiled[0],
        "gained_clean": clean[1] - clean[0],
    }


def _difference(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    shared = min(len(first), len(second))
    return second[:shared] - first[:shared]


def _mean(values: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return the mean over images, and its variance as they were drawn at random."""
    return {"mean": float(values.mean()), "variance": float(values.var(ddof=1)) / len(values)}
