"""Mirrors cifar_lessons/data/drawings.py."""

import numpy as np
import pytest

from cifar_lessons.data.drawings import KINDS, draw
from cifar_lessons.errors import UserError


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_different_small_pictures_with_something_in_them(kind):
    found = draw(kind, 6)
    assert found.shape == (6, 3, 32, 32)
    assert found.dtype == np.uint8
    assert len({picture.tobytes() for picture in found}) == 6
    assert (found.reshape(6, -1).std(axis=1) > 5).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_ones_stay_whatever_the_count_and_another_seed_draws_others(kind):
    np.testing.assert_array_equal(draw(kind, 4)[:2], draw(kind, 2))
    assert not np.array_equal(draw(kind, 2), draw(kind, 2, seed=1))


def test_mistakes_name_the_value_and_the_mend():
    with pytest.raises(UserError, match="no kind of drawing 'hose': did you mean 'house'"):
        draw("hose", 1)
    with pytest.raises(ValueError, match="count must be >= 1, got 0"):
        draw("house", 0)
