"""Mirrors cifar_lessons/data/drawings.py."""

import numpy as np
import pytest

from cifar_lessons.data.drawings import KINDS, draw, write_set
from cifar_lessons.data.picture import read_picture
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


def test_a_set_on_the_disk_is_large_and_shrinks_to_what_is_drawn(tmp_path):
    write_set(tmp_path, ["house", "chart"], 3, seed=4)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")) == [
        f"{kind}/00{k}.png" for kind in ("chart", "house") for k in range(3)
    ]
    pixels, done = read_picture(tmp_path / "house" / "002.png")
    assert done == "128 x 128 shrunk to 32 x 32"
    np.testing.assert_array_equal(pixels.numpy(), draw("house", 3, seed=4)[2])
    with pytest.raises(UserError, match="no kind of drawing 'hose'"):
        write_set(tmp_path, ["hose"], 1)


def test_mistakes_name_the_value_and_the_mend():
    with pytest.raises(UserError, match="no kind of drawing 'hose': did you mean 'house'"):
        draw("hose", 1)
    with pytest.raises(ValueError, match="count must be >= 1, got 0"):
        draw("house", 0)
