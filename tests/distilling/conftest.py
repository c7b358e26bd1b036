"""Made-up answers of a teacher, and a made-up study of its share."""

from typing import Any

import pytest

from cifar_lessons.distilling.doubts import Answers, stored_answers
from cifar_lessons.distilling.results import Recorded


@pytest.fixture
def answers(tmp_path) -> Answers:
    return stored_answers(root=tmp_path / "nothing")


@pytest.fixture
def study() -> Recorded:
    def terms(labels: float, teacher: float) -> dict[str, Any]:
        return {
            "logits": {"labels": 1.0, "teacher": 1.0},
            "weights": {"labels": labels, "teacher": teacher},
        }

    arms = {"printed": terms(3, 1), "right": terms(1, 9)}
    values = {
        "teacher": "resnet18 seed0",
        "classes": 10,
        "images": 1_024,
        "batch_size": 128,
        "precision": "fp32",
        "arms": {arm: {"kind": "distillation"} for arm in arms},
        "weights": {},
        "students": {"new": arms, "trained": arms},
    }
    provenance = {
        "device": "Made-up CPU",
        "packages": {"torch": "9.8.7"},
        "git_commit": "abcdef0123456789",
    }
    return Recorded(values, provenance, ())
