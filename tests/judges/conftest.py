"""What the tests of judges share: made-up evidence, and the judge of a claim."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cifar_lessons.claims import load_claims
from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.judges import JUDGES
from cifar_lessons.verdicts import Claim, Evidence, Finding


@pytest.fixture
def evidence(made_up_predictions: Callable[..., dict[int, Predictions]]) -> Callable[..., Evidence]:
    """Return `(accuracies by recipe, seeds=5, **more) -> Evidence`."""

    def make(accuracies: Mapping[str, float], seeds: int = 5, **more: Any) -> Evidence:
        predictions = {
            name: made_up_predictions(accuracy, seeds, salt=salt)
            for salt, (name, accuracy) in enumerate(accuracies.items())
        }
        return Evidence(predictions, **more)

    return make


@pytest.fixture
def judge() -> Callable[..., Finding]:
    """Return `(id, evidence, claim=None) -> Finding`: the claim is the book's own without one."""
    claims = {claim.id: claim for claim in load_claims()}

    def decide(name: str, found: Evidence, claim: Claim | None = None) -> Finding:
        return JUDGES[name](claim or claims[name], found)

    return decide
