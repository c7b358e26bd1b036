"""Mirrors cifar_lessons/robustness/answers.py."""

import numpy as np
import pytest

from cifar_lessons.errors import UserError
from cifar_lessons.robustness.answers import LOOKS, Store, summed_up


@pytest.fixture
def answers() -> np.ndarray:
    return np.random.default_rng(0).random((2, 5, 13)) < 0.6


def test_what_is_kept_is_there_for_the_next_run(tmp_path, answers):
    path = tmp_path / "studies" / "kept.json"
    first = Store(path)
    assert "a" not in first
    first.add("a", answers, seconds=1.25)
    first.add("b", answers[:, :1], seconds=2.0)
    again = Store(path)
    np.testing.assert_array_equal(again["a"], answers)
    np.testing.assert_array_equal(again["b"], answers[:, :1])
    assert again["a"].dtype == bool
    assert again.seconds("a") == 1.25
    assert "c" not in again


@pytest.mark.parametrize("content", ["{", "[1]", '{"a": {"bits": "AA=="}}', '{"a": 3}'])
def test_a_damaged_file_names_itself_and_the_mend(tmp_path, content):
    path = tmp_path / "kept.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"kept\.json is damaged: delete it"):
        Store(path)


def bits(*rows: str) -> np.ndarray:
    """`bits("1101", "1111")` is one look and two at four images, in one severity."""
    return np.array([[[c == "1" for c in row]] for row in rows])


RESULTS = {
    # clean: one look 3 of 4 right. Spoiled: two corruptions of one severity each.
    "small": {
        "clean": bits("1101", "1111"),
        "fog": bits("1000", "1100"),
        "jpeg": bits("1100", "0100"),
    },
    # Seen on two images alone, the first two of the other's.
    "large": {"clean": bits("11", "11"), "fog": bits("11", "11"), "jpeg": bits("10", "10")},
}


def test_counts_and_means_by_hand():
    found = summed_up(RESULTS, (("small", "large"), ("small", "absent")))
    small = found["networks"]["small"]
    assert small["images"] == 4
    assert small["clean"] == dict(zip(LOOKS, (3, 4), strict=True))
    assert small["corruptions"] == {
        "fog": {"plain": [1], "flip": [2], "only_plain": [0], "only_flip": [1]},
        "jpeg": {"plain": [2], "flip": [1], "only_plain": [1], "only_flip": [0]},
    }
    by_image = np.array([1, 0.5, 0, 0])  # mean of both corruptions, one look
    assert small["plain"]["mean"] == pytest.approx(by_image.mean())
    assert small["plain"]["variance"] == pytest.approx(by_image.var(ddof=1) / 4)
    assert small["lost"]["mean"] == pytest.approx(3 / 4 - 3 / 8)
    assert small["gained"]["mean"] == pytest.approx(np.mean([-0.5, 0.5, 0, 0]))
    assert small["gained_clean"]["mean"] == pytest.approx(1 / 4)
    [pair] = found["pairs"]  # the absent network is left out
    assert (pair["first"], pair["second"], pair["images"]) == ("small", "large", 2)
    differences = np.array([1, 0.5]) - by_image[:2]
    assert pair["plain"]["mean"] == pytest.approx(differences.mean())
    assert pair["plain"]["variance"] == pytest.approx(differences.var(ddof=1) / 2)
    assert pair["clean_plain"]["mean"] == 0
    assert pair["lost"]["mean"] == pytest.approx(0 - differences.mean())
