"""The recorded study of the teacher's share is proven again: losses and networks are today's.

And of the half-width arms: validation chose the loss of the full-width student among them.
"""

import statistics

import pytest

from cifar_lessons import recipes, runs
from cifar_lessons.distilling import results


@pytest.fixture(scope="module")
def study():
    try:
        return runs.load_study(results.STUDY)
    except runs.MissingRun:
        pytest.skip("no study of the teacher's share is recorded yet")


def test_its_losses_are_todays(study):
    """Else `cifar-lessons study distillation_share --record` measures it again."""
    assert results.is_current(study["values"])


def test_its_students_have_the_weights_that_are_recorded(study):
    kept = {run.name: run.weights["sha256"] for run in results.trained() if run.weights}
    for name, digest in study["values"]["weights"].items():
        assert digest == kept[name], name
        assert f"{name}, trained" in study["values"]["students"]


def test_its_numbers_fit_each_other(study):
    printed, right, *_ = results.ARMS
    for arms in study["values"]["students"].values():
        for place in ("logits", "weights"):
            ours, theirs = arms[right][place], arms[printed][place]
            assert ours["labels"] == pytest.approx(theirs["labels"], rel=1e-3)
            assert min(ours["labels"], theirs["teacher"]) > 0


def test_its_provenance_is_clean(study):
    assert study["provenance"]["git_dirty"] is False
    assert study["values"]["data"] not in ("", "synthetic")


def test_the_full_width_student_has_the_loss_that_validation_chose():
    arms = [recipes.get(f"mobilenet_w05_{loss}") for loss in ("kd", "kd_soft", "dkd")]
    recorded = [[run for _, _, run in runs.status(arm) if run] for arm in arms]
    if any(len(seeds) < arm.seeds for arm, seeds in zip(arms, recorded, strict=True)):
        pytest.skip("not all half-width arms are recorded yet")
    means = [statistics.mean(run.final["val_accuracy"] for run in seeds) for seeds in recorded]
    best = arms[means.index(max(means))]
    assert recipes.get("mobilenet_kd").objective == best.objective
