"""Mirrors cifar_lessons/evaluation/mistakes.py."""

import numpy as np
import pytest

from cifar_lessons.evaluation.metrics import Predictions
from cifar_lessons.evaluation.mistakes import answers, same_images, sample, surest_mistakes


def network(seed: int, images: int = 400) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % 10
    logits = 2 * rng.normal(size=(images, 10))
    logits[np.arange(images), labels] += 2
    return Predictions(logits, labels)


def test_answers_hold_what_each_network_said_and_how_sure_it_was():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]]))
    found = answers({"a": Predictions(logits, np.array([0, 2]))})
    assert found.said.tolist() == [[0, 1]]
    assert found.sure[0] == pytest.approx([0.7, 0.6])
    assert found.wrong.tolist() == [[False, True]]


def test_the_surest_mistakes_come_first_and_right_answers_never():
    p = network(0)
    found = answers({"a": p})
    rows = surest_mistakes(p, 30)
    assert len(rows) == 30
    assert not p.correct[rows].any()
    sure = found.sure[0][rows]
    assert (np.diff(sure) <= 0).all()
    others = np.setdiff1d(np.flatnonzero(~p.correct), rows)
    assert found.sure[0][others].max() <= sure[-1]
    assert len(surest_mistakes(p, 10_000)) == (~p.correct).sum()


def test_a_sample_holds_the_surest_mistakes_of_every_network_in_every_class():
    found = answers({"a": network(0), "b": network(1)})
    rows = sample(found, each=3)
    assert sorted(set(rows.tolist())) == rows.tolist()
    assert found.wrong[:, rows].any(axis=0).all()  # somebody is wrong about each
    for wrong, sure in zip(found.wrong, found.sure, strict=True):
        for label in range(10):
            there = np.flatnonzero(wrong & (found.labels == label))
            surest = there[np.argsort(-sure[there])][:3]
            assert np.isin(surest, rows).all()
            assert (np.isin(rows, there)).sum() >= min(6, len(there))
    assert len(rows) <= 2 * 3 * 2 * 10
    assert np.array_equal(rows, sample(found, each=3))
    assert not np.array_equal(rows, sample(found, each=3, seed=1))


def test_pictures_belong_to_answers_where_all_labels_agree():
    p = network(0)
    assert same_images(p, p.labels)
    assert not same_images(p, np.roll(p.labels, 1))
    assert not same_images(p, p.labels[:-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: answers({}), "at least one network is needed, got none"),
        (lambda p: answers({"a": p, "b": network(0, 50)}), "b was scored on other images than a"),
        (lambda p: surest_mistakes(p, 0), "count must be >= 1, got 0"),
        (lambda p: sample(answers({"a": p}), each=0), "each must be >= 1, got 0"),
    ],
)
def test_mistakes_name_the_value_and_the_mend(call, message):
    with pytest.raises(ValueError, match=message):
        call(network(0))
