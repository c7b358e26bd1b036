"""Mirrors cifar_lessons/judges/folds.py: the judge can end each way that it says."""

import numpy as np
import pytest

from cifar_lessons.verdicts import Evidence


def study(single: float, mean: float, *, repeats: int = 8) -> Evidence:
    """Accuracies whose folds and means have exactly these standard deviations, in points."""
    rng = np.random.default_rng(0)
    folds = 5
    rows = rng.normal(size=repeats)
    rows = mean * (rows - rows.mean()) / rows.std(ddof=1)
    inside = rng.normal(size=(repeats, folds))
    inside -= inside.mean(axis=1, keepdims=True)
    within = (single**2 * folds - folds * mean**2) / (folds - 1)  # mean square
    inside *= np.sqrt(within * repeats * (folds - 1) / (inside**2).sum())
    table = 0.79 + (rows[:, None] + inside) / 100
    return Evidence(
        studies={
            "folds": {
                "held_out": table.tolist(),
                "test": table.tolist(),
                "train_images": 40_000,
                "held_out_images": 10_000,
            }
        }
    )


@pytest.mark.parametrize(
    ("single", "mean", "repeats", "verdict", "words"),
    [
        (0.45, 0.15, 8, "corrected", "read as points: clearly not as claimed; read as a share: cl"),
        (0.45, 0.15, 8, "corrected", "moves by 0.45 points in all, so it cannot fall by 0.8"),
        (1.2, 0.4, 8, "open", "read as points: unclear; read as a share: clearly not"),
        (1.2, 0.4, 2_000, "reproduced", "read as points: as claimed; read as a share: clearly not"),
        (0.45, 0.4464, 300_000, "reproduced", "clearly not as claimed; read as a share: as claim"),
        (0.45, 0.44, 8, "open", "read as a share: unclear"),
    ],
)
def test_c04_asks_for_points_and_for_a_share(judge, single, mean, repeats, verdict, words):
    found = judge("C04", study(single, mean, repeats=repeats))
    assert found.verdict == verdict, found
    assert words in found.reason


def test_c04_shows_both_spreads_and_what_stands_behind_them(judge):
    found = judge("C04", study(0.45, 0.15))
    assert found.ours.startswith("a single split 0.45, a mean of 5 folds 0.15: 0.30 points less (")
    assert "which is 67 % of it (" in found.ours
    ratio, test, errors, chance = found.details
    assert ratio.startswith("the ratio of the two is 3.0 (")
    assert "independent folds would give 2.2, and two folds of one repeat correlate by −0." in ratio
    assert "one network 0.45 points, a mean of 5 networks 0.15" in test
    naive, corrected = (float(word) for word in errors.split() if word[:2] == "0.")
    assert corrected == pytest.approx(1.5 * naive, abs=0.02)
    assert chance == (
        "by chance alone, 92 % of 10,000 images moves by 0.27 points; to move by 0.8 it takes a "
        "split of 1,150 images"
    )


def test_c04_is_open_until_the_study_is_recorded(monkeypatch, tmp_path):
    from cifar_lessons import claims

    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    [row] = claims.rows(["C04"])
    assert (row.finding.verdict, row.missing) == ("open", ("study folds",))
    assert row.command == "cifar-lessons folds folds_base --repeats 8 --record"
