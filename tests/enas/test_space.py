"""Mirrors cifar_lessons/enas/space.py: what is written is what is read, and nothing else."""

import numpy as np
import pytest

from cifar_lessons.enas.space import (
    OPERATIONS,
    Architecture,
    Layer,
    count_operations,
    halved_after,
    made_of,
    parse,
    plain,
    size,
    uniform,
)

TEXT = "c3/s5+0/mp/c5+0+2/s3/ap"


def test_a_text_is_read_as_it_says():
    found = parse(TEXT)
    assert found.layers[3] == Layer("c5", (0, 2))
    assert found.operations == ("c3", "s5", "mp", "c5", "s3", "ap")
    assert str(found) == TEXT
    assert found.skip_share == 3 / 15


def test_every_random_architecture_survives_the_way_through_its_text():
    rng = np.random.default_rng(0)
    for layers in (3, 6, 12):
        for _ in range(50):
            drawn = uniform(rng, layers=layers)
            assert parse(str(drawn), layers=layers) == drawn


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c3/c7/c3", r"layer 2 of 'c3/c7/c3': unknown operation 'c7'; try one of c3, s3, c5"),
        ("c3/c3", r"'c3/c3' has 2 layers, needed at least 3; try c3/c3\+0/c3\+1$"),
        ("", "unknown operation ''"),
        ("c3+0/c3/c3", "layer 1 .* no skip from 0; it may add none"),
        ("c3/c3+1/c3", r"layer 2 .* no skip from 1; it may add 0 to 0 .* as in c3/c3\+0$"),
        ("c3/c3/c3+x", r"cannot read 'c3\+x'; write an operation .* as in s5\+0\+2"),
        ("c3/c3/c3+-1", "cannot read"),
        ("c3/c3/c3+1+0", r"skips must rise, each once, got c3\+1\+0; try c3\+0\+1"),
        ("c3/c3/c3+0+0", "skips must rise"),
        ("c3/c3/c3+²", "cannot read"),
        ("search:enas_search", "not found yet: `cifar-lessons search enas_search` first"),
    ],
)
def test_what_does_not_parse_is_told_in_one_line_with_the_mend(text, message):
    with pytest.raises(ValueError, match=message) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_another_number_of_layers_than_is_needed_is_told():
    with pytest.raises(ValueError, match="has 6 layers, needed 4; try c3/c3"):
        parse(TEXT, layers=4)


def test_the_size_of_the_space_is_that_of_the_source():
    assert size(12) == pytest.approx(1.6e29, rel=0.01)
    tiny = {str(uniform(np.random.default_rng(k), layers=2)) for k in range(2_000)}
    assert len(tiny) == size(2) == 72


def test_random_architectures_are_uniform_over_operations_and_skips():
    rng = np.random.default_rng(1)
    drawn = [uniform(rng) for _ in range(2_000)]
    counts = count_operations(drawn)
    assert list(counts) == list(OPERATIONS)
    assert all(abs(n / 12_000 - 1 / 6) < 0.015 for n in counts.values())
    assert abs(np.mean([a.skip_share for a in drawn]) - 0.5) < 0.01


def test_maps_are_halved_after_thirds_as_in_the_source():
    assert halved_after(6) == (2, 4)
    assert halved_after(12) == (4, 8)


def test_only_inputs_that_are_used_later_are_halved():
    found = parse("c3/c3/c3+0/c3/c3+2/c3")
    # After layer 2: the stem (layer 3 adds it) and 2 itself; 1 is never used again.
    assert found.needed == {2: (0, 2), 4: (2, 4)}
    assert plain(["c3"] * 6).needed == {2: (1, 2), 4: (3, 4)}


def test_words_for_what_a_network_is_made_of():
    assert made_of([plain(["c3", "s3", "c3"])]) == "2 × 3x3 convolution, 1 × separable 3x3"


def test_an_architecture_is_checked_however_it_is_made():
    with pytest.raises(ValueError, match="no skip from 5"):
        Architecture((Layer("c3"), Layer("c3", (5,))))
