"""Mirrors cifar_lessons/speed/peaks.py, on matrices and arrays too small for a peak."""

import pytest
import torch

from cifar_lessons.speed import peaks
from cifar_lessons.speed.peaks import best_time, copy_rate, matmul_rate, using_threads


class Clock:
    now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_the_best_of_the_timed_calls_counts(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(peaks, "time", clock)
    costs = iter([0.1, 5.0, 3.0, 4.0, 9.0])  # the first call is not timed

    def work():
        clock.now += next(costs)

    assert best_time(work, 0.0) == 3.0
    assert next(costs) == 9.0  # three timed calls, and no more when the time is over


def test_threads_are_as_before_afterwards():
    before = torch.get_num_threads()
    with using_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_product_counts_two_operations_a_multiply_add(monkeypatch, precision):
    monkeypatch.setattr(peaks, "best_time", lambda work, seconds: work() is None or 0.5)
    assert matmul_rate(precision, threads=1, seconds=0, side=8) == 2 * 8**3 / 0.5


def test_a_copy_counts_a_read_and_a_write(monkeypatch):
    monkeypatch.setattr(peaks, "best_time", lambda work, seconds: work() is None or 0.5)
    assert copy_rate(threads=1, seconds=0, numbers=100) == 2 * 4 * 100 / 0.5
