"""Mirrors cifar_lessons/errors.py."""

import pytest
import torch

from cifar_lessons.errors import UserError, memory_ran_out, suggest

KNOWN = ("resnet18", "resnet34", "simple_cnn", "deep_cnn")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("resnet19", "did you mean 'resnet18' or 'resnet34'?"),
        ("simplecnn", "did you mean 'simple_cnn'?"),
        ("transformer", "known: deep_cnn, resnet18, resnet34, simple_cnn"),
        ("", "known: deep_cnn, resnet18, resnet34, simple_cnn"),
    ],
)
def test_the_nearest_names_are_offered_else_all(typed, answer):
    assert suggest(typed, KNOWN) == answer


def test_at_most_three_names_are_offered():
    assert suggest("run", [f"run{k}" for k in range(9)]).count(" or ") == 2


def test_it_is_no_value_error():
    """Library code tells the two apart: `ValueError` is for a programmer, this for a person."""
    assert not issubclass(UserError, ValueError)


# --- memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
                "memory: you tried to allocate 360000000000 bytes. Error code 12"
            ),
            " for 360000000000 bytes;",
        ),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has"),
            " for 20.00 GiB;",
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1.2 GB)"), ";"),
        (MemoryError("Unable to allocate 8.00 TiB for an array"), " for 8.00 TiB;"),
        (MemoryError(), ";"),
    ],
)
def test_memory_that_ran_out_is_told_with_what_would_need_less(error, wanted):
    said = memory_ran_out(error)
    assert said is not None
    assert said.startswith(f"there is not enough memory{wanted}")
    assert "a smaller batch_size" in said
    assert "\n" not in said


def test_the_real_allocators_words_are_known():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60, dtype=torch.uint8)
    said = memory_ran_out(refused.value)
    assert said is not None
    assert f" for {2**60} bytes;" in said


def test_another_error_is_not_taken_for_it():
    assert memory_ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert memory_ran_out(ValueError("out of memory")) is None
