"""Mirrors cifar_lessons/robustness/corruption_study.py, with untrained networks and few images."""

import json

import numpy as np
import pytest
import torch

from cifar_lessons import building, recipes
from cifar_lessons.atomic import alone_in
from cifar_lessons.config import ViewsConfig
from cifar_lessons.data import cifar
from cifar_lessons.data.cifar import Split
from cifar_lessons.data.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.predict import predict
from cifar_lessons.evaluation.tta import predict_views
from cifar_lessons.robustness import corruption_study as study
from cifar_lessons.runtime import Runtime

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")
SOME = {"simple_cnn_flip_crop": 40, "resnet18_w16": 20, "simple_cnn": 40}


@pytest.fixture(autouse=True)
def _two_corruptions_in_fp32(monkeypatch):
    monkeypatch.setattr(study, "CORRUPTIONS", {k: CORRUPTIONS[k] for k in ("contrast", "fog")})
    monkeypatch.setattr(study, "detect", lambda: FP32)


@pytest.fixture
def run(tiny_official, tmp_path):
    def measure(**options):
        return study.corruptions(
            tiny_official.root, outputs=tmp_path / "outputs", **{"networks": SOME, **options}
        )

    return measure


def test_counts_are_those_of_plain_scoring(keep, run, tiny_official):
    kept = {name: keep(name) for name in ("simple_cnn_flip_crop", "resnet18_w16")}
    found = run()
    assert found["not_kept"] == ["simple_cnn"]
    assert list(found["networks"]) == list(kept)
    data = cifar.load("cifar10", root=tiny_official.root, val_size=0)
    order = study.stratified_order(data.test.labels.numpy(), seed=study.SEED)
    for name, record in kept.items():
        measured, config = found["networks"][name], recipes.get(name).data
        assert measured["images"] == SOME[name]
        assert measured["weights"] == record.weights["sha256"]
        images = data.test[torch.from_numpy(order[: SOME[name]])]
        model = building.load_model(record, FP32)
        plain = predict(model, images, config, runtime=FP32)
        assert measured["clean"]["plain"] == measured["clean"]["recorded"] == plain.correct.sum()
        for corruption in ("contrast", "fog"):
            for severity in (2, 5):
                pixels = corrupt(
                    images.images.numpy(), corruption, severity, index=images.index.numpy()
                )
                spoiled = Split(torch.from_numpy(pixels), images.labels, images.index)
                one = predict(model, spoiled, config, runtime=FP32)
                two = predict_views(
                    one, model, spoiled, config, views=ViewsConfig(name="flip"), runtime=FP32
                )
                counts = measured["corruptions"][corruption]
                assert counts["plain"][severity - 1] == one.correct.sum()
                assert counts["flip"][severity - 1] == two.correct.sum()
                only = (one.correct & ~two.correct).sum()
                assert counts["only_plain"][severity - 1] == only
    assert json.loads(json.dumps(found)) == found


def test_a_study_that_was_stopped_goes_on_and_ends_the_same(keep, run, monkeypatch, tmp_path):
    keep("simple_cnn_flip_crop")
    keep("resnet18_w16")
    whole = run()
    (tmp_path / "outputs" / "studies" / "corruptions.json").unlink()
    calls, looks = [], study._looks

    def stopping(*arguments):
        calls.append(1)
        if len(calls) == 2 + 5 + 3:  # inside the second network's first corruption
            raise KeyboardInterrupt
        return looks(*arguments)

    monkeypatch.setattr(study, "_looks", stopping)
    with pytest.raises(KeyboardInterrupt):
        run()
    done = len(calls)
    again = run()
    # Both clean rows and the first network's corruption were kept: all else is computed once.
    assert len(calls) - done == 2 * 2 * len(SEVERITIES) - 5
    assert {k: v for k, v in again.items() if k != "seconds"} == {
        k: v for k, v in whole.items() if k != "seconds"
    }


def test_what_is_done_is_not_done_again_but_other_weights_or_pixels_are(keep, run, monkeypatch):
    keep("simple_cnn_flip_crop")
    run()
    calls, looks = [], study._looks
    monkeypatch.setattr(study, "_looks", lambda *a: (calls.append(1), looks(*a))[1])
    run()
    assert calls == []
    keep("simple_cnn_flip_crop", weights_seed=1)
    run()
    assert len(calls) == 1 + 2 * 5
    fog = CORRUPTIONS["contrast"]  # "fog" now does what contrast did
    monkeypatch.setattr("cifar_lessons.data.corruptions.CORRUPTIONS", {**CORRUPTIONS, "fog": fog})
    run()
    assert len(calls) == 1 + 2 * 5 + 5


def test_nothing_kept_says_what_to_do(keep, run):
    with pytest.raises(UserError, match="no recorded run keeps weights of simple_cnn_flip_crop"):
        run()


def test_data_in_another_order_is_refused(keep, run, monkeypatch):
    keep("simple_cnn_flip_crop")
    twin = cifar.synthetic(num_train=40, num_test=40, val_size=10)  # in no official order
    monkeypatch.setattr(study, "load", lambda *a, **k: twin)
    with pytest.raises(UserError, match="needs the official order"):
        run()


def test_two_at_once_do_not_write_over_each_other(run, tmp_path):
    folder = tmp_path / "outputs" / "studies"
    with (
        alone_in(folder, lock=".corruptions.running"),
        pytest.raises(UserError, match="another process is at work in"),
    ):
        run()


def test_every_beginning_of_the_order_has_equal_classes():
    labels = np.repeat(np.arange(10), 100)
    order = study.stratified_order(labels, seed=0)
    assert sorted(order) == list(range(1000))
    for count in (10, 200, 500):
        assert (np.bincount(labels[order[:count]]) == count // 10).all()
    assert not np.array_equal(order, study.stratified_order(labels, seed=1))


def test_the_plan_names_recipes_and_its_pairs_are_in_it():
    assert all(recipes.get(name).seeds >= 1 for name in study.NETWORKS)
    assert {name for pair in study.PAIRS for name in pair} <= set(study.NETWORKS)
    assert all(images % 10 == 0 for images in study.NETWORKS.values())
