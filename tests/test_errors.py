"""Mirrors cifar_lessons/errors.py."""

import pytest

from cifar_lessons.errors import UserError, suggest

KNOWN = ("resnet18", "resnet34", "simple_cnn", "deep_cnn")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("resnet19", "did you mean 'resnet18' or 'resnet34'?"),
        ("simplecnn", "did you mean 'simple_cnn'?"),
        ("transformer", "known: deep_cnn, resnet18, resnet34, simple_cnn"),
        ("", "known: deep_cnn, resnet18, resnet34, simple_cnn"),
    ],
)
def test_the_nearest_names_are_offered_else_all(typed, answer):
    assert suggest(typed, KNOWN) == answer


def test_at_most_three_names_are_offered():
    assert suggest("run", [f"run{k}" for k in range(9)]).count(" or ") == 2


def test_it_is_no_value_error():
    """Library code tells the two apart: `ValueError` is for a programmer, this for a person."""
    assert not issubclass(UserError, ValueError)
