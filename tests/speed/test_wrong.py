"""Mirrors cifar_lessons/speed/wrong.py."""

import math

import pytest

from cifar_lessons.errors import UserError
from cifar_lessons.speed.wrong import require_batches, require_known, require_seconds


def test_what_is_right_passes():
    require_seconds(0.1, "90")
    require_batches([2, 4096], "128")
    require_known(["resnet18"], ["resnet18", "simple_cnn"], "--models")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: require_seconds(0, "90"), r"--seconds must be in \(0, 86400\], got 0; try --sec"),
        (lambda: require_seconds(math.nan, "90"), "got nan; try --seconds 90"),
        (lambda: require_seconds(math.inf, "90"), "got inf"),
        (lambda: require_batches([128, 1], "32 128"), "in .2, 4096., got 1; try --batches 32 128"),
        (lambda: require_batches([], "32"), "got none; try --batches 32"),
        (
            lambda: require_batches([1], "128", flag="--batch-size"),
            "^--batch-size must be in .* got 1; try --batch-size 128$",
        ),
        (lambda: require_known([], ["a", "b"], "--models"), "--models needs a name; known: a, b"),
        (
            lambda: require_known(["resnet81"], ["resnet18", "simple_cnn"], "--models"),
            "--models: no 'resnet81': did you mean 'resnet18'?",
        ),
    ],
)
def test_a_mistake_is_told_with_the_mend(check, message):
    with pytest.raises(UserError, match=message):
        check()
