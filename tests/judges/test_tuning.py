"""Mirrors cifar_lessons/judges/tuning.py: the judge can end each way that it says."""

import pytest

from cifar_lessons.tuning.space import ADVICE
from cifar_lessons.verdicts import Evidence

JITTER = (-0.002, 0.001, 0.0, -0.001, 0.002)
BEST = {"batch_size": 90, "optim.peak_lr": 0.2, "optim.weight_decay": 3e-4}


def search(*behind: float, spread: float = 0.0, seeds: int = 5) -> Evidence:
    """Repeats of the best settings, and of the advice by how far it is behind; a fraction each."""

    def accuracies(mean: float, sign: int) -> dict[str, float]:
        return {str(k): mean + JITTER[k] + sign * spread * (-1) ** k for k in range(seeds)}

    arms = zip(ADVICE.items(), behind, strict=True)
    repeats = [{"label": "best", "settings": BEST, "accuracies": accuracies(0.8, 1)}]
    repeats += [
        {"label": label, "settings": settings, "accuracies": accuracies(0.8 - b, -1)}
        for (label, settings), b in arms
    ]
    trials = [
        {"state": "complete", "settings": BEST, "values": [0.5, 0.805]},
        {"state": "complete", "settings": {**BEST, "optim.peak_lr": 0.1}, "values": [0.4, 0.799]},
        {"state": "complete", "settings": {**BEST, "optim.peak_lr": 0.9}, "values": [0.4, 0.7]},
        {"state": "pruned", "settings": BEST, "values": [0.3]},
        {"state": "failed", "settings": BEST, "values": []},
    ]
    return Evidence(studies={"tuning": {"repeats": repeats, "trials": trials, "noise": 0.002}})


@pytest.mark.parametrize(
    ("behind", "spread", "verdict", "words"),
    [
        (
            (0.002, 0.03, 0.05),
            0.0,
            "reproduced",
            "less than 1 point below the best: 128, 0.1; but clear",
        ),
        ((0.0, 0.0, 0.0), 0.0, "reproduced", "128, 0.1 and middle and 256, 0.01"),
        ((-0.01, 0.03, 0.05), 0.0, "reproduced", "128, 0.1"),  # better than the best that was found
        ((0.03, 0.03, 0.05), 0.0, "corrected", "all of it is more than 1 point below the best"),
        ((0.03, 0.009, 0.05), 0.02, "open", "nothing of it is clearly within 1 point"),
        ((0.03, 0.0101, 0.05), 0.001, "open", "nothing of it is clearly within 1 point"),
    ],
)
def test_c21_asks_whether_the_advice_holds_something_as_good(judge, behind, spread, verdict, words):
    found = judge("C21", search(*behind, spread=spread))
    assert found.verdict == verdict
    assert words in found.reason
    assert found.ours == "best of 4 trials: batch 90, rate 0.2, decay 0.0003"


def test_c21_shows_every_difference_the_noise_and_the_region(judge):
    lines = judge("C21", search(0.002, 0.03, 0.05)).details
    assert len(lines) == 5
    assert lines[0].startswith("best minus advice: 128, 0.1 (batch 128, rate 0.1, decay 0.0005): +")
    assert "+3.00 points" in lines[1]
    assert "standard deviation of 0.20 points" in lines[3]
    assert lines[4].startswith("2 trials reach")
    assert "rate 0.1 to 0.2" in lines[4]


def test_c21_needs_more_than_one_seed(judge):
    found = judge("C21", search(0.0, 0.03, 0.05, seeds=1))
    assert (found.verdict, found.reason) == ("open", "repeats from two seeds or more are needed")
