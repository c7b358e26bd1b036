"""Mirrors cifar_lessons/deploy/shipped.py: the recorded network, or what to type without one."""

import numpy as np
import pytest

from cifar_lessons import recipes, runs
from cifar_lessons.config import Recipe
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.deploy import shipped
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.outsiders import familiarity
from cifar_lessons.fields import from_dict

DATA = synthetic(num_train=100, num_test=40, val_size=0)


def test_nothing_recorded_is_one_line_and_no_page(tmp_path, monkeypatch):
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    assert shipped.run() is None
    with pytest.raises(UserError, match=r"resnet18_w16 seed 0 is not recorded.*train resnet18_w16"):
        shipped.required()
    assert str(shipped.page(DATA)).startswith("*resnet18_w16 seed 0 is not recorded")


def test_a_run_without_weights_does_not_serve(recorded):
    recorded(shipped.RECIPE, 0.8)
    assert shipped.run() is None


@pytest.fixture
def found() -> runs.Run:
    run = shipped.run()
    if run is None:
        pytest.skip(shipped.missing())
    return run


def test_the_page_names_the_run_and_holds_its_percentiles(found):
    page = shipped.page(DATA).html
    about = shipped.about(found)
    assert about.name == "resnet18_w16 seed0"
    assert len(about.classes) == 10
    scores = familiarity(found.logits("test").logits)
    quarter = shipped.percentiles(found)[25]
    assert (scores < quarter).mean() == pytest.approx(0.25, abs=0.01)
    assert f"{quarter:.4f}"[:6] in page
    assert "CIFAR-10 is not here" in page  # DATA is made up


def test_the_export_answers_as_the_recorded_run_did(found, real_data):
    """The stored logits were computed in another precision, and rounded to 16 bits."""
    from cifar_lessons.data.cifar import load
    from cifar_lessons.deploy.backends import OnnxRuntime
    from cifar_lessons.deploy.pixels import as_pixels

    data = load("cifar10", root=real_data)
    images = as_pixels(data.test.images[:200])
    logits = OnnxRuntime(shipped.exported(found))(images)
    stored = found.logits("test").logits[:200]
    assert (logits.argmax(1) == stored.argmax(1)).mean() >= 0.98
    assert np.abs(logits - stored).max() < 0.5
    assert from_dict(Recipe, found.recipe).name == recipes.get(shipped.RECIPE).name
