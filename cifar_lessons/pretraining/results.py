"""What is recorded about few labels: runs by share and arm, and the study of probes. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cifar_lessons import recipes, runs
from cifar_lessons.evaluation.metrics import Estimate, Predictions, mean_interval
from cifar_lessons.runs import Run

STUDY = "probes"
REVISION = 1  # bumped by hand when code changes what the study finds
NETWORKS = ("simclr_w16", "vicreg_w16")  # whose features are probed, where they are recorded
UNTRAINED = "untrained"  # the same network with its first weights
SHARES = (0.005, 0.01, 0.02, 0.1, 1.0)  # of the labels
DRAWS = 3  # of labelled images, at every share below 1

SCRATCH = "from scratch"
# Recipes by arm and share of the labels.
ARMS: Mapping[str, Mapping[float, str]] = {
    SCRATCH: {
        0.005: "labels05_scratch",
        0.01: "labels1_scratch",
        0.02: "labels2_scratch",
        0.1: "labels10_scratch",
        1.0: "resnet18_w16_fp32",
    },
    "after SimCLR": {
        0.005: "labels05_simclr",
        0.01: "labels1_simclr",
        0.02: "labels2_simclr",
        0.1: "labels10_simclr",
        1.0: "labels100_simclr",
    },
    "after VICReg": {0.01: "labels1_vicreg", 0.1: "labels10_vicreg"},
}
MUST = (0.01, 0.1, 1.0)  # shares that the claim is judged by
LONG = "labels10_long"  # from scratch, with the compute of pre-training on top


def spelled(share: float) -> str:
    """Return a share as a person writes it: `0.5 %`."""
    return f"{100 * share:g} %"


def trained(root: Path | None = None) -> dict[str, dict[float, list[Run]]]:
    """Return the fresh recorded runs by arm and share; what is missing is left out.

    Args:
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    found: dict[str, dict[float, list[Run]]] = {}
    for arm, by_share in ARMS.items():
        for share, name in by_share.items():
            rows = runs.status(recipes.get(name), root=root)
            if seeds := [run for _, _, run in rows if run]:
                found.setdefault(arm, {})[share] = seeds
    return found


# --- The study of probes -----------------------------------------------------------------------


@dataclass(frozen=True)
class Probed:
    """A linear classifier on frozen features, scored on the test images once.

    Attributes:
        share: Of the labels that it was fitted to.
        draw: Which labelled images; the seed of the runs that had the same ones.
        right: Which test images it got right, as predictions of two made-up classes.
        strength: Of its penalty, chosen on validation.
        val_accuracy: A fraction, on the images that chose.
    """

    share: float
    draw: int
    right: Predictions
    strength: float
    val_accuracy: float


def pack(correct: Sequence[bool]) -> str:
    """Return one bit an answer, in hexadecimal: 10,000 test images in 2,500 letters."""
    return np.packbits(np.asarray(correct, dtype=bool)).tobytes().hex()


def unpack(text: str, count: int) -> Predictions:
    """Return what `pack` was given, as predictions whose class 0 is always right."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(bool)
    scores = np.stack([bits, ~bits], axis=1).astype(np.float32)
    return Predictions(scores, np.zeros(count, np.int64))


def is_current(values: Mapping[str, Any]) -> bool:
    """Return whether a study was made by today's code."""
    return bool(values.get("revision") == REVISION)


def probes_of(values: Mapping[str, Any]) -> dict[str, list[Probed]]:
    """Return the probes of a study by network."""
    count = values["test_images"]
    return {
        name: [
            Probed(
                p["share"], p["draw"], unpack(p["right"], count), p["strength"], p["val_accuracy"]
            )
            for p in facts["probes"]
        ]
        for name, facts in values["networks"].items()
    }


@dataclass(frozen=True)
class Recorded:
    """The recorded study.

    Attributes:
        probes: By network, of weights that are still the recorded ones.
        provenance: Of the measurement.
        missing: Networks that were recorded since, or whose weights are others now.
    """

    probes: Mapping[str, Sequence[Probed]]
    provenance: Mapping[str, Any]
    missing: tuple[str, ...]

    def estimate(self, network: str, share: float) -> Estimate | None:
        """Return the mean accuracy of a network's probes at a share, over its draws."""
        found = [p.right for p in self.probes.get(network, ()) if p.share == share]
        return mean_interval(found) if found else None


def kept(root: Path | None = None) -> dict[str, str]:
    """Return the sha256 of the recorded weights of `NETWORKS`, by name."""
    found = [runs.status(recipes.get(name), root=root) for name in NETWORKS]
    return {
        run.name: run.weights["sha256"]
        for rows in found
        for _, _, run in rows
        if run and run.weights
    }


def recorded(root: Path | None = None) -> Recorded | None:
    """Return the study, or None where there is none of today's.

    Args:
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    study = runs.find_study(STUDY, root=root)
    if study is None or not is_current(study["values"]):
        return None
    probes = probes_of(fresh_only(study["values"], root))
    return Recorded(probes, study["provenance"], tuple(n for n in kept(root) if n not in probes))


def fresh_only(values: Mapping[str, Any], root: Path | None = None) -> dict[str, Any]:
    """Return a study without the networks whose weights are no longer the recorded ones.

    Args:
        values: Of the study.
        root: Folder of the recorded runs; see `runs.runs_root`.
    """
    digests = {UNTRAINED: "", **kept(root)}
    found = values["networks"].items()
    return {
        **values,
        "networks": {n: facts for n, facts in found if digests.get(n) == facts["weights"]},
    }
