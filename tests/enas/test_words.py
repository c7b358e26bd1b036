"""Mirrors cifar_lessons/enas/words.py: what a search says of itself."""

from cifar_lessons.enas.words import line, movement


def rows(count: int) -> list[dict[str, float]]:
    return [
        {"update": k + 1, "reward": 0.1 + 0.01 * k, "entropy": 21 - 0.1 * k, "skip_share": 0.5}
        for k in range(count)
    ]


def test_the_movement_is_that_from_the_first_updates_to_the_last():
    assert movement(rows(40)) == (
        "40 updates, first 10 -> last 10: reward (%) 14.5 -> 44.5, "
        "entropy (nats) 20.550 -> 17.550, share of skips 0.500 -> 0.500"
    )


def test_too_few_updates_say_nothing():
    assert movement(rows(1)) == ""
    assert movement(rows(3)).startswith("3 updates, first 1 -> last 1")


def test_an_epoch_without_updates_is_still_a_line():
    assert line({"epoch": 1, "train_loss": 2.3, "seconds": 4.0}, 9) == (
        "epoch 1/9  train loss 2.3000  sampled networks nan % of validation  entropy nan  "
        "skips nan  4 s"
    )
