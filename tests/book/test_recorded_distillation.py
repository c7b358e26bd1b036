"""The recorded study of the teacher's share is proven again: losses and networks are today's."""

import pytest

from cifar_lessons import runs
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
