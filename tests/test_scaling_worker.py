"""Mirrors cifar_lessons/scaling_worker.py, on two ranks and alone."""

import itertools
import json
from typing import Any

import pytest
import torch

from cifar_lessons import scaling_worker
from cifar_lessons.config import ModelConfig, Recipe
from cifar_lessons.data.cifar import synthetic
from cifar_lessons.errors import UserError
from cifar_lessons.joining import joined
from cifar_lessons.runtime import Runtime

TINY = Recipe(name="tiny", model=ModelConfig(name="resnet18", options={"width": 4}), batch_size=8)


def measured() -> dict[str, Any]:
    """What a rank measures, and how many images it has seen in every step."""
    seen = []
    step = scaling_worker.train_step

    def noted(model, batch, *rest, **options):
        seen.append(len(batch))
        return step(model, batch, *rest, **options)

    scaling_worker.train_step = noted
    try:
        with joined(60) as group:
            runtime = Runtime(device=torch.device("cpu"), precision="fp32", group=group)
            data = synthetic(num_train=40, num_test=1, val_size=0)
            return {**scaling_worker.measure(TINY, data, runtime, 0.01), "seen": seen}
    finally:
        scaling_worker.train_step = step


def test_a_process_alone_has_one_way_to_train():
    found = measured()
    assert list(found) == ["parameters", "averaged", "steps", "seen"]
    assert found["averaged"] > 0
    assert set(found["seen"]) == {8}
    assert len(found["seen"]) == found["steps"] + scaling_worker.LEAD_IN


def test_two_share_a_batch_and_train_with_and_without_averaging(ranks):
    first, second = ranks.values(measured)
    for found in (first, second):
        assert set(found["seen"]) == {4}
        assert len(found["seen"]) == found["steps"] + 2 * scaling_worker.LEAD_IN
        assert found["averaged"] > 0
        assert found["own"] > 0
    assert first["steps"] == second["steps"]  # or one would wait for the other for ever
    assert first["parameters"] == measured()["parameters"]


def test_rates_count_the_images_of_the_whole_group(monkeypatch):
    """A clock that goes forward by a second a look: the images of n steps, in a second."""
    clock = itertools.count()
    monkeypatch.setattr(scaling_worker.time, "perf_counter", lambda: float(next(clock)))
    runtime = Runtime(device=torch.device("cpu"), precision="fp32")
    data = synthetic(num_train=40, num_test=1, val_size=0)
    found = scaling_worker.measure(TINY, data, runtime, 4.0)
    # The lead-in says a third of a second a step, so 12 steps less the lead-in are timed.
    assert found["steps"] == 12 - scaling_worker.LEAD_IN
    assert found["averaged"] == found["steps"] * 8 / 1.0


def test_rank_0_prints_one_line_of_json_at_the_end(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        scaling_worker, "measure", lambda recipe, data, runtime, seconds: {"averaged": seconds}
    )
    options = {"seconds": 2.0, "threads": torch.get_num_threads(), "data": tmp_path}
    scaling_worker.work(("simple_cnn", "resnet18_w16"), **options)
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["recipes"] == {"simple_cnn": {"averaged": 2.0}, "resnet18_w16": {"averaged": 2.0}}
    assert (said["device"], said["images"]) == ("cpu", 1_500)
    assert said["precision"] in ("bf16", "fp32")
    with pytest.raises(UserError, match="no recipe 'simple_cn'"):
        scaling_worker.work(("simple_cn",), **options)
