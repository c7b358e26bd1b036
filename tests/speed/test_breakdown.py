"""Mirrors cifar_lessons/speed/breakdown.py."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from cifar_lessons.errors import UserError
from cifar_lessons.speed import breakdown, figures, tables
from cifar_lessons.speed.breakdown import (
    CONVOLUTION,
    COPIES,
    GROUPS,
    bench_profile,
    by_group,
    group_of,
    summary,
)


@dataclass
class Event:
    """As much of the profiler's events as is read."""

    name: str
    cpu_parent: "Event | None" = None
    self_cpu_time_total: float = 1.0


CONV = Event("aten::mkldnn_convolution")


@pytest.mark.parametrize(
    ("event", "group"),
    [
        (CONV, CONVOLUTION),
        (Event("aten::empty", CONV), CONVOLUTION),  # for its caller
        (Event("aten::copy_", CONV), COPIES),  # its own work, whoever asked for it
        (Event("aten::addmm"), CONVOLUTION),
        (Event("aten::add"), "activation and elementwise"),
        (Event("aten::clamp_min", Event("aten::relu")), "activation and elementwise"),
        (Event("aten::native_batch_norm_backward"), "batch norm"),
        (Event("aten::_fused_sgd_", Event("Optimizer.step#SGD.step")), "optimizer"),
        (Event("aten::add_", Event("Optimizer.step#SGD.step")), "optimizer"),  # not fused
        (Event("aten::mul_", Event("aten::x", Event("Optimizer.step#SGD.step"))), "optimizer"),
        (Event("aten::where", Event("input")), "input"),
        (Event("aten::copy_", Event("aten::to", Event("input"))), "input"),
        (Event("aten::detach"), None),
    ],
)
def test_operations_find_their_group(event, group):
    assert group_of(event) == group


def test_a_real_step_lands_in_all_groups():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, fused=True)
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        with record_function("input"):
            x = torch.randn(4, 3, 8, 8)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = net(x)
        out.float().mean().backward()
        optimizer.step()
    found = by_group(watched.events())
    assert set(found) == set(GROUPS)
    assert all(seconds > 0 for seconds in found.values())


def test_the_round_of_the_median_is_kept_and_reorders_are_moved():
    def a_round(step: float) -> dict[str, float]:
        return {"step": step, **dict.fromkeys(GROUPS, 0.0), CONVOLUTION: 0.5 * step, COPIES: 0.1}

    found = summary([a_round(9.0), a_round(2.0), a_round(4.0)], reorders=0.25)
    assert found["step"] == {"median": 4.0, "low": 2.0, "high": 9.0, "n": 3}
    assert found["groups"][CONVOLUTION] == 1.5
    assert found["groups"][COPIES] == 0.6
    assert sum(found["groups"].values()) == pytest.approx(4.0)  # with `other`
    assert found["reorder_share"] == 0.25
    unknown = summary([a_round(4.0)], reorders=None)
    assert unknown["groups"][CONVOLUTION] == 2.0
    assert unknown["reorder_share"] is None


def test_all_of_it_as_short_as_it_gets(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(breakdown, "full_size", lambda data: data)
    result = bench_profile(model="simple_cnn", seconds=0.01, batch_size=2, data=tmp_path)
    values = result["values"]
    assert {"plain_0", "memory", "ours"} <= set(values["loops"])
    assert "plain_1" not in values["loops"]
    for loop in values["loops"].values():
        assert set(loop["groups"]) == {*GROUPS, "other"}
        assert loop["step"]["n"] >= 3
        assert loop["groups"]["input"] > 0
        assert loop["groups"]["optimizer"] > 0
    json.dumps(result, allow_nan=False)
    assert "whole step" in str(tables.breakdown(result))
    assert figures.where_time_goes(result).axes
    assert "round 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seconds": 0}, "--seconds must be in"),
        ({"batch_size": 1}, "must be in .2, 4096., got 1"),
        ({"model": "resnet81"}, "unknown model 'resnet81'"),
    ],
)
def test_a_mistake_is_told_before_the_data_are_read(wrong, message, monkeypatch):
    monkeypatch.setattr(breakdown, "load_or_synthetic", lambda *_, **__: SimpleNamespace(x=1 / 0))
    with pytest.raises(UserError, match=message):
        bench_profile(**wrong)
