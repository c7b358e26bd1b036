"""Mirrors cifar_lessons/evaluation/view_sets.py."""

from typing import get_args, get_type_hints

import pytest

from cifar_lessons.config import ViewsConfig
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.view_sets import PLAIN, VIEW_SETS, distinct_views, view_set


@pytest.mark.parametrize("name", VIEW_SETS)
def test_weights_add_up_to_one(name):
    found = view_set(name)
    assert found.name == name
    assert sum(found.weights.values()) == pytest.approx(1.0)
    assert min(found.weights.values()) > 0
    assert found.passes == len(found.weights)


def test_a_recipe_can_ask_for_sets_that_exist_and_begin_with_the_plain_image():
    for name in get_args(get_type_hints(ViewsConfig)["name"]):
        assert next(iter(view_set(name).weights)) == PLAIN


def test_both_readings_of_the_article_have_five_views_with_rotations_and_flips_among_them():
    for name in ("article", "article_turns"):
        views = view_set(name).weights
        assert len(views) == 5
        assert "flip" in views
        assert any(v.startswith(("rotate", "turn")) for v in views)


def test_the_six_views_of_the_source_keep_their_weights():
    weights = view_set("flip_shift").weights
    assert list(weights.values()) == [0.25, 0.25, 0.125, 0.125, 0.125, 0.125]
    assert list(weights)[:2] == ["plain", "flip"]


def test_each_view_is_needed_once():
    assert distinct_views(("flip", "vertical_flip", "flip")) == ("plain", "flip", "vertical_flip")
    assert len(distinct_views()) == len(set(distinct_views())) == 21
    assert distinct_views(("five_crop",))[0] == "plain"  # what every set is compared with


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("flop", "no view set 'flop': did you mean 'flip'"),
        ("rotation", "no view set 'rotation': did you mean 'rotations_90' or 'rotations_small'"),
        ("", "no view set '': known: article, "),
    ],
)
def test_an_unknown_set_is_answered_with_the_nearest_names(typed, said):
    with pytest.raises(UserError, match=said):
        view_set(typed)
