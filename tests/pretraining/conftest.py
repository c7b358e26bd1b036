"""Made-up runs of few labels, and a made-up study of probes."""

from typing import Any

import numpy as np
import pytest

from cifar_lessons import recording
from cifar_lessons.pretraining.results import REVISION, STUDY, pack


def probe(share: float, draw: int, accuracy: float, images: int = 2_000) -> dict[str, Any]:
    right = np.random.default_rng([draw]).permutation(images) < accuracy * images
    return {
        "share": share,
        "draw": draw,
        "labels": round(45_000 * share),
        "strength": 0.01,
        "val_accuracy": accuracy,
        "test_accuracy": accuracy,
        "right": pack(right.tolist()),
    }


@pytest.fixture
def values() -> dict[str, Any]:
    found = [probe(0.01, draw, 0.5) for draw in range(3)] + [probe(1.0, 0, 0.7)]
    return {
        "revision": REVISION,
        "data": "a digest",
        "test_images": 2_000,
        "features": 128,
        "networks": {
            "untrained": {"weights": "", "probes": [probe(0.01, 0, 0.2)]},
            "simclr_w16": {"weights": "abc", "probes": found},
        },
    }


@pytest.fixture
def provenance() -> dict[str, Any]:
    return {
        "device": "Made-up CPU",
        "packages": {"torch": "9.8.7"},
        "git_commit": "abcdef0123456789",
        "git_dirty": False,
    }


@pytest.fixture
def few(recorded, values, provenance):
    """Runs at 1 % and at all labels, one of which has no partner, and the study."""
    recorded("labels1_scratch", 0.40, seeds=range(3))
    recorded("labels1_simclr", 0.52, seeds=range(3))
    recorded("labels1_vicreg", 0.55, seeds=range(2))
    recorded("resnet18_w16_fp32", 0.89, seeds=range(3))
    recorded("labels10_vicreg", 0.70)
    recorded("simclr_w16", 0.66, weights={"bytes": 1, "sha256": "abc"})
    recording.record_study(STUDY, values, provenance=provenance)
