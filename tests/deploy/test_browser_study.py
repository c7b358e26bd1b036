"""Mirrors cifar_lessons/deploy/browser_study.py, on a tiny network and as short as it gets."""

import json

import numpy as np
import pytest

from cifar_lessons import runs
from cifar_lessons.deploy import browser_report, browser_study, demo
from cifar_lessons.deploy.any_size import any_size, runner
from cifar_lessons.deploy.browser_study import bench_browser, enlarged, resizing
from cifar_lessons.deploy.quantize import quantize
from cifar_lessons.errors import UserError


def test_all_of_it(exported, images, runtime_folder, chrome, monkeypatch, tmp_path):
    """In the browser of the tests, since Playwright runs once in a process."""
    import contextlib

    monkeypatch.setattr(browser_study.chromium, "launched", lambda: contextlib.nullcontext(chrome))
    monkeypatch.setattr(browser_study, "STARTS", 1)
    monkeypatch.setattr(browser_study, "FEWEST_ROUNDS", 2)
    monkeypatch.setattr(browser_study, "BLOCK", 2)
    pair = exported, quantize(exported, images)
    result = bench_browser(seconds=0.01, data=tmp_path, networks=pair, images=(5, 3))
    values = json.loads(json.dumps(result["values"], allow_nan=False))
    assert values["synthetic"] is True
    assert set(values["precisions"]) == {"fp32", "int8"}
    for name, entry in values["precisions"].items():
        assert entry["bytes"] == len(any_size(pair[name == "int8"]))
        assert entry["same_bytes"]["pictures"] == 5
        assert entry["any_size"]["pictures"] == 3
        assert entry["same_bytes"]["other_pixels"] == entry["any_size"]["other_pixels"] == 0
        assert entry["same_bytes"]["largest"] < 1e-2
        assert all(len(rounds) == 2 for rounds in values["ms"][name].values())
    assert values["precisions"]["fp32"]["same_bytes"]["same"] == 5
    assert values["runtime_bytes"] > 10e6
    text = browser_report.format_result(result)
    assert "tiny seed0 in a browser" in text
    assert "This page runs fp32" in text


def test_shrinking_is_held_against_pillow(exported):
    ask = runner(any_size(exported))
    rng = np.random.default_rng(0)
    given = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(3)]
    equal = resizing(ask, given)
    assert equal == {"pictures": 3, "same": 3, "largest": 0.0, "other": 0.0, "most": 0}
    larger = resizing(ask, [enlarged(image, k) for k, image in enumerate(given)])
    assert larger["most"] <= 1
    assert larger["other"] < 0.01


def test_made_up_sizes_are_the_same_each_time():
    image = np.zeros((32, 32, 3), np.uint8)
    shapes = [enlarged(image, k).shape for k in range(20)]
    assert shapes == [enlarged(image, k).shape for k in range(20)]
    assert len(set(shapes)) > 15
    assert all(20 <= side <= 700 for shape in shapes for side in shape[:2])


def test_mistakes_are_told_before_anything_is_measured(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="--seconds must be > 0, got 0; try --seconds 60"):
        bench_browser(seconds=0)
    monkeypatch.setattr(demo, "find_runtime", lambda: tmp_path)
    monkeypatch.setenv("CIFAR_LESSONS_RUNS", str(tmp_path))
    with pytest.raises(UserError, match="resnet18_w16 seed 0 is not recorded"):
        bench_browser(seconds=1, data=tmp_path)
    assert runs.find_study("browser") is None
