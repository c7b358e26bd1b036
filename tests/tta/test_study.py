"""Mirrors cifar_lessons/tta/study.py, on tiny networks and made-up images."""

import json

import numpy as np
import pytest
import torch

from cifar_lessons import building, experiment, origins, runs
from cifar_lessons.atomic import alone_in
from cifar_lessons.config import DataConfig, Recipe
from cifar_lessons.errors import UserError
from cifar_lessons.evaluation.merging import learn, merge
from cifar_lessons.evaluation.metrics import Predictions, accuracy, per_class_accuracy
from cifar_lessons.evaluation.tta import logits_of_views
from cifar_lessons.evaluation.view_sets import VIEW_SETS, distinct_views
from cifar_lessons.fields import from_dict
from cifar_lessons.runtime import Runtime
from cifar_lessons.tta import study
from cifar_lessons.tta.results import MERGED, SETS, networks

FP32 = Runtime(device=torch.device("cpu"), precision="fp32")


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """fp32, so that what is counted twice is counted alike; and code that counts as committed."""
    monkeypatch.setattr(study.runtime, "detect", lambda **_: FP32)
    monkeypatch.setattr(origins, "is_dirty", lambda: False)


def test_every_number_is_that_of_the_predictions(kept):
    run = kept("net")
    raw, digest = study.measure(run, None, FP32)
    assert digest not in ("", "synthetic")
    net = networks({"networks": {"net": raw}})["net"]
    model = building.load_model(run, FP32)
    data = experiment.load_data(from_dict(Recipe, run.recipe), None)
    for split, scores in ((data.test, net.test), (data.val, net.val)):
        assert scores is not None
        seen = logits_of_views(model, split, DataConfig(), views=distinct_views(), runtime=FP32)
        labels = split.labels.numpy()
        one = Predictions(seen["plain"], labels)
        assert scores.images == len(split)
        assert scores.right == one.correct.sum()
        assert scores.views == {v: (z.argmax(1) == labels).sum() for v, z in seen.items()}
        for name in SETS:
            for how in MERGED:
                several = Predictions(merge(seen, VIEW_SETS[name].weights, how), labels)
                cell = scores.cells[name][how]
                assert cell.corrected == (~one.correct & several.correct).sum()
                assert cell.broken == (one.correct & ~several.correct).sum()
                assert cell.accuracy == pytest.approx(accuracy(several))
            merged = Predictions(merge(seen, VIEW_SETS[name].weights), labels)
            expected = per_class_accuracy(merged) * np.bincount(labels)
            np.testing.assert_allclose(scores.by_class[name], expected, atol=1e-9)


def test_weights_are_learned_on_validation_and_scored_on_test(kept):
    run = kept("net")
    raw, _ = study.measure(run, None, FP32)
    model = building.load_model(run, FP32)
    data = experiment.load_data(from_dict(Recipe, run.recipe), None)
    val, test = (
        logits_of_views(model, s, DataConfig(), views=distinct_views(), runtime=FP32)
        for s in (data.val, data.test)
    )
    weights = learn(val, data.val.labels.numpy())
    assert raw["learned"]["weights"] == pytest.approx(weights, abs=1e-5)
    right = (merge(test, weights).argmax(1) == data.test.labels.numpy()).sum()
    learned = networks({"networks": {"net": raw}})["net"].learned
    assert learned is not None
    assert learned.accuracy * 40 == pytest.approx(right)


def test_labels_of_test_do_not_reach_what_is_learned(kept, monkeypatch):
    """Else the score would be chosen on test."""
    run = kept("net")
    honest, _ = study.measure(run, None, FP32)
    load = experiment.load_data

    def turned(*args):
        data = load(*args)
        data.test.labels.copy_((data.test.labels + 1) % 10)
        return data

    monkeypatch.setattr(experiment, "load_data", turned)
    cheated, _ = study.measure(run, None, FP32)
    assert cheated["learned"]["weights"] == honest["learned"]["weights"]
    assert len(honest["learned"]["weights"]) < len(distinct_views())  # a choice was made
    assert cheated["test"]["right"] < honest["test"]["right"]


def test_without_validation_images_nothing_is_learned(kept):
    raw, _ = study.measure(kept("net", val_size=0), None, FP32)
    assert (raw["val"], raw["learned"]) == (None, {"weights": {}, "test": None})


def test_it_records_after_each_network_and_goes_on_where_it_was_stopped(
    kept, tmp_path, monkeypatch, capsys
):
    for number, name in enumerate(("one", "two")):
        kept(name, seed=number)
    measured, measure = [], study.measure

    def until_two(run, root, here):
        if run.name == "two" and not measured.count("two"):
            measured.append(run.name)
            raise KeyboardInterrupt
        measured.append(run.name)
        return measure(run, root, here)

    monkeypatch.setattr(study, "measure", until_two)
    with pytest.raises(KeyboardInterrupt):
        study.study_tta(None, record=True, outputs=tmp_path)
    assert set(runs.load_study("tta")["values"]["networks"]) == {"one"}
    command = "cifar-lessons study tta --record"
    text = study.study_tta(None, record=True, command=command, outputs=tmp_path)
    assert measured == ["one", "two", "two"]
    assert "one (1 of 2): measured already" in capsys.readouterr().out
    assert text.endswith(f"recorded {runs.runs_root() / 'studies' / 'tta.json'}")
    stored = runs.load_study("tta")
    assert set(stored["values"]["networks"]) == {"one", "two"}
    assert stored["provenance"]["command"] == "cifar-lessons study tta --record"
    assert stored["provenance"]["data_digest"]
    facts = stored["values"]["networks"]["two"]["facts"]
    assert (facts["precision"], facts["threads"], facts["key"]) == ("fp32", 1, "seed0")
    assert json.loads(json.dumps(stored)) == stored


def test_new_weights_or_new_sets_are_measured_again(kept, monkeypatch, capsys, tmp_path):
    kept("one")
    study.study_tta(None, record=True, outputs=tmp_path)
    first = runs.load_study("tta")["values"]
    kept("one", seed=1)
    study.study_tta(None, record=True, outputs=tmp_path)
    second = runs.load_study("tta")["values"]
    assert "measured already" not in capsys.readouterr().out
    assert (
        first["networks"]["one"]["facts"]["weights"]
        != (second["networks"]["one"]["facts"]["weights"])
    )
    monkeypatch.setattr(study, "is_current", lambda values: False)
    study.study_tta(None, record=True, outputs=tmp_path)
    assert "measured already" not in capsys.readouterr().out


def test_without_record_nothing_is_written_and_the_table_shown(kept):
    kept("one")
    text = study.study_tta(None)
    assert not (runs.runs_root() / "studies").exists()
    assert "Points of test accuracy gained over one look" in text
    for name in SETS:
        assert f"\n{name} " in text
        assert VIEW_SETS[name].passes > 1


def test_no_kept_network_and_uncommitted_code_are_told_before_anything_is_measured(
    kept, monkeypatch, tmp_path
):
    with pytest.raises(UserError, match="keeps weights; record one first, such as"):
        study.study_tta(None)
    kept("one")
    monkeypatch.setattr(origins, "is_dirty", lambda: True)
    monkeypatch.setattr(study, "measure", lambda *_: 1 / 0)
    with pytest.raises(UserError, match="--record needs committed code"):
        study.study_tta(None, record=True, outputs=tmp_path)


def test_two_at_once_do_not_record_over_each_other(kept, tmp_path, monkeypatch):
    kept("one")
    monkeypatch.setattr(study, "measure", lambda *_: 1 / 0)
    with (
        alone_in(tmp_path / "studies", lock=".tta.running"),
        pytest.raises(UserError, match="another process is at work in"),
    ):
        study.study_tta(None, record=True, outputs=tmp_path)


def test_a_cell_counts_beside_the_plain_view():
    labels = np.array([0, 0, 0, 1])
    logits = {
        "plain": np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32),
        "flip": np.array([[1, 0], [9, 0], [0, 9], [0, 1]], np.float32),
    }
    corrected, broken, loss = study._cell(logits, {"plain": 0.5, "flip": 0.5}, "logits", labels)
    assert (corrected, broken) == (1, 1)
    assert loss > 0
    assert Predictions(logits["plain"], labels).correct.tolist() == [True, False, True, True]
